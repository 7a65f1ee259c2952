"""The report on the identities of things: for people, for programs, and line by line in a file."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.table import Table

from warden_cli.errors import BadUsage
from warden_cli.identity_file import FALLING_SHORT, IdentityFile, Kind, Row
from warden_cli.terminal import facts, heading, plain, shown

_SHOWN, _LISTED = 5, 10
"""How many names of a kind the table has, and the answer for programs."""

_WORDS = {
    Kind.NO_CERTIFICATE: "no certificate",
    Kind.SEVERAL: "several ACTIVE certificates",
    Kind.SHARED: "a shared certificate",
    Kind.NONE_ACTIVE: "no ACTIVE certificate",
    Kind.LEFT_OVER: "left-over certificates",
    Kind.ON_NO_THING: "certificates on no thing",
}
_FIXES = {
    Kind.NO_CERTIFICATE: "Attach its certificate (aws iot attach-thing-principal), or delete what is not a device.",
    Kind.SEVERAL: "Set INACTIVE and detach those that the device does not use; its next rotation retires all but one.",
    Kind.SHARED: "Give each thing a certificate of its own: the audit check DEVICE_CERTIFICATE_SHARED_CHECK opens "
    "cases for it, and the plan's rule certificate-is-shared rotates.",
    Kind.NONE_ACTIVE: "The device cannot connect: activate its certificate, enrol it again, or delete the thing.",
}
_COLUMNS = ("finding", "thing", "certificate", "status", "things_of_certificate")
_EXPIRY = "AWS IoT lists no end of validity; the audit check DEVICE_CERTIFICATE_EXPIRING_CHECK reports it."


_THINGS = {"iot:ListThings", "iot:ListThingPrincipalsV2"}
_NEEDS = {
    Kind.NO_CERTIFICATE: _THINGS,
    Kind.SEVERAL: _THINGS,
    Kind.SHARED: _THINGS | {"iot:ListPrincipalThingsV2"},
    Kind.NONE_ACTIVE: _THINGS | {"iot:ListCertificates"},
    Kind.LEFT_OVER: _THINGS | {"iot:ListCertificates"},
    Kind.ON_NO_THING: _THINGS | {"iot:ListCertificates"},
}
"""The parts that must have been read before a kind can be counted."""


def falls_short(file: IdentityFile) -> bool:
    """Check whether a thing falls short of an identity of its own, or something could not be read."""
    return bool(file.lacking) or any(file.count(kind) for kind in FALLING_SHORT)


def _count(kind: Kind, file: IdentityFile) -> int | None:
    """Count what was found of a kind; None where that is not known. A sample has no certificates on no thing."""
    if file.lacking & _NEEDS[kind] or (kind is Kind.ON_NO_THING and not file.is_whole):
        return None
    return file.count(kind)


def answer_of(file: IdentityFile) -> dict[str, Any]:
    """Write the report for programs: counts, and the first of each kind; null is not known."""
    seen, gone, _ = file.looked_at()
    return {
        "account": file.note("account"),
        "region": file.note("region"),
        "things": {"listed": file.total, "all": file.is_whole, "looked_at": seen, "gone": gone},
        "findings": {
            kind: {
                "count": (count := _count(kind, file)),
                "falls_short": kind in FALLING_SHORT,
                "first": [] if count is None else file.first(kind, _LISTED),
            }
            for kind in Kind
        },
        "certificates": {
            "statuses": dict(file.statuses()) if file.knows_statuses else None,
            "shared": file.shared_certificates(),
            "exclusive": file.exclusive(),
        },
        "lacking": sorted(file.lacking),
    }


def print_report(console: Console, file: IdentityFile) -> None:
    """Print the counts with the first of each kind, and what to do about them."""
    seen, gone, _ = file.looked_at()
    which = f"all {file.total:,} things" if file.is_whole else f"a random {seen + gone:,} of {file.total:,} things"
    console.print(plain(f"Account {file.note('account')}, {file.note('region')}: {which} looked at", "bold"))
    if gone:
        console.print(plain(f"{gone:,} of them were deleted in the meantime"))
    console.print(heading("Things with"))
    console.print(_table(file))
    console.print(heading("Certificates"))
    console.print(facts(_of_certificates(file)))
    if not file.is_whole and seen:
        most = f"{300 / seen:.2g} %"  # the rule of three
        console.print()
        console.print(
            plain(f"If none of {seen:,} has a fault, fewer than {most} of all have it, with 95 % confidence.")
        )
    for action in sorted(file.lacking):
        console.print(plain(f"not known: the role lacks {action} (docs/identities-policy.json)", "yellow"))


def _table(file: IdentityFile) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right")
    table.add_column(overflow="fold", ratio=1)
    for kind in Kind:
        if kind is Kind.ON_NO_THING:
            continue
        count = _count(kind, file)
        style = "bold red" if count and kind in FALLING_SHORT else ""
        said = plain("not known", "yellow") if count is None else plain(f"{count:,}", style)
        table.add_row(plain(f"  {_WORDS[kind]}"), said, plain(_names(kind, count or 0, file)))
        if count and kind in _FIXES:
            table.add_row("", "", plain(_FIXES[kind], "dim"))
    return table


def _names(kind: Kind, count: int, file: IdentityFile) -> str:
    names = ", ".join(file.first(kind, _SHOWN)) if count else ""
    return f"{names} and {count - _SHOWN:,} more" if count > _SHOWN else names


def _of_certificates(file: IdentityFile) -> Iterator[tuple[str, str]]:
    if file.knows_statuses:
        yield (
            "by status",
            ", ".join(f"{count:,} {status}" for status, count in sorted(file.statuses().items())) or "none",
        )
    yield "shared", f"{file.shared_certificates():,}"
    yield "exclusive", f"{file.exclusive():,} (things with one that can be on no other, EXCLUSIVE_THING)"
    if (unused := _count(Kind.ON_NO_THING, file)) is not None:
        yield "on no thing", f"{unused:,} {_names(Kind.ON_NO_THING, unused, file)}".strip()
    yield "expired", _EXPIRY


# --- every line, in a file -------------------------------------------------------------------------------------------


def writer_of(file: str) -> Callable[[IdentityFile], None]:
    """Return the function that writes the report into a file, whose ending and folder are checked first.

    Raises:
        BadUsage: when the ending is another, or the file cannot be written.
    """
    path = Path(file)
    if path.suffix not in _FORMS:
        raise BadUsage(f"--write {shown(file, 80)}: the file ends in .csv or .json")
    if not path.parent.is_dir():
        raise BadUsage(f"--write {shown(file, 80)}: there is no folder {shown(str(path.parent), 80)}")

    def write(found: IdentityFile) -> None:
        try:
            with path.open("w", encoding="utf-8", newline="") as stream:
                _FORMS[path.suffix](found, stream)
        except OSError as error:
            raise BadUsage(f"cannot write {shown(file)}: {shown(error.strerror or str(error))}") from error

    return write


def _rows(file: IdentityFile) -> Iterator[Row]:
    for kind in Kind:
        if _count(kind, file):
            yield from file.rows(kind)


def _as_csv(file: IdentityFile, stream: IO[str]) -> None:
    writer = csv.writer(stream)
    writer.writerow(_COLUMNS)
    for row in _rows(file):
        # A spreadsheet would take a name that begins with a dash for a formula.
        thing = f"'{row.thing}" if row.thing.startswith("-") else row.thing
        writer.writerow([row.kind, thing, row.certificate, row.status, row.things or ""])


def _as_json(file: IdentityFile, stream: IO[str]) -> None:
    begin = "["
    for row in _rows(file):
        values = (row.kind, row.thing, row.certificate, row.status, row.things or None)
        stream.write(f"{begin}\n{json.dumps(dict(zip(_COLUMNS, values, strict=True)))}")
        begin = ","
    stream.write("[]\n" if begin == "[" else "\n]\n")


_FORMS: Mapping[str, Callable[[IdentityFile, IO[str]], None]] = {".csv": _as_csv, ".json": _as_json}
