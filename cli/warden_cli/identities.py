"""`warden baseline identities`: which things have no certificate of their own, at any age of certificate.

The control says that every device has an identity of its own. An audit reports shared certificates and conflicting
client ids; nothing else reports things without a certificate, or with several.
"""

from __future__ import annotations

import heapq
import json
import os
import secrets
import sqlite3
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import mkstemp

from rich.console import Console

from warden_cli import identity_reader
from warden_cli.errors import BadUsage, CommandFailed, Exit, NotReached
from warden_cli.identity_file import IdentityFile, Step, make, opened
from warden_cli.identity_page import answer_of, falls_short, print_report, writer_of
from warden_cli.identity_reader import Denied, IdentityReader
from warden_cli.reading import account_of, session_of
from warden_cli.terminal import as_json, pasted, shown

DEFAULT_SAMPLE = 400
"""With none found among so many, fewer than one thing in 130 is affected, with 95 % confidence."""

_SAID_EVERY = 100
"""Things between two updates of the line that shows the progress."""


class _Interrupted(CommandFailed):
    """Raised when the operator stops a run, which can be resumed."""

    code = Exit.INTERRUPTED


def report_identities(arguments: Namespace, console: Console) -> Exit:
    """Look at things and their certificates, and report what falls short."""
    write = writer_of(arguments.write) if arguments.write else None
    session = session_of(arguments.region, arguments.profile)
    account = account_of(session)
    path = Path(arguments.resume) if arguments.resume else _new_file(arguments, account, session.region_name)
    with opened(path, account, session.region_name) as file, _kept_if_interrupted(path):
        _Run(file, IdentityReader(session, account), path, console).go()
        if write is not None:
            write(file)
        if arguments.json:
            console.out(as_json(answer_of(file)))
        else:
            print_report(console, file)
        code = Exit.FOUND if falls_short(file) else Exit.DONE
    path.unlink(missing_ok=True)
    return code


def _new_file(arguments: Namespace, account: str, region: str) -> Path:
    try:
        handle, name = mkstemp(prefix="warden-identities-", suffix=".sqlite")
    except OSError as error:
        raise BadUsage(f"there is no folder for temporary files ({shown(str(error), 100)}); set TMPDIR") from error
    os.close(handle)
    sample = 0 if arguments.all else arguments.sample or DEFAULT_SAMPLE
    notes = {"account": account, "region": region, "sample": str(sample), "seed": secrets.token_hex(8)}
    make(Path(name), notes)
    return Path(name)


@contextmanager
def _kept_if_interrupted(path: Path) -> Iterator[None]:
    """Name the file of an unfinished run in the error, so that the next command can resume it."""
    how = f"; resume with: warden baseline identities --resume {pasted(str(path))}"
    try:
        yield
    except KeyboardInterrupt:
        raise _Interrupted(f"interrupted{how}") from None
    except (NotReached, BadUsage) as failure:
        raise type(failure)(f"{failure}{how}") from failure
    except sqlite3.Error as error:
        raise BadUsage(f"cannot write {shown(str(path), 200)}: {shown(str(error), 100)}{how}") from error


class _Run:
    """The steps of a run, each begun where the last run of the file left it."""

    def __init__(self, file: IdentityFile, reader: IdentityReader, path: Path, console: Console) -> None:
        self._file = file
        self._reader = reader
        self._path = path
        self._console = console

    def go(self) -> None:
        """Take every step that is left. A missing right of the role is noted, and ends the step that needs it."""
        steps: Mapping[Step, Callable[[], None]] = {
            Step.THINGS: self._list_things,
            Step.PRINCIPALS: self._look_at_things,
            Step.SHARING: self._ask_who_shares,
            Step.CERTIFICATES: self._list_certificates,
        }
        order = [*Step]
        while (step := self._file.step) is not Step.DONE:
            try:
                steps[step]()
            except Denied as denied:
                self._file.write_note("lacking", ",".join(sorted({*self._file.lacking, denied.action})))
            self._file.write_note("step", order[order.index(step) + 1])

    def _list_things(self) -> None:
        """List all things, and keep all or a sample: those whose names, hashed with the run's seed, come first.

        So every thing has the same chance, whatever the order of AWS IoT's list, and a restarted list gives the same
        sample.
        """
        total, sample, seed = 0, self._file.sample, self._file.note("seed")
        kept: list[tuple[int, str]] = []
        with self._console.status("listing things") as status:
            for names in self._reader.things():
                total += len(names)
                status.update(f"{total:,} things listed")
                if not sample:
                    self._file.add_things(names)
                    continue
                for name in names:
                    rank = -int.from_bytes(sha256(f"{seed}{name}".encode()).digest()[:8])
                    (heapq.heappush if len(kept) < sample else heapq.heappushpop)(kept, (rank, name))
        self._file.add_things(name for _, name in kept)
        self._file.write_note("total", str(total))

    def _look_at_things(self) -> None:
        seen, gone, left = self._file.looked_at()
        self._say_what_comes(left)
        done, total = seen + gone, seen + gone + left
        with self._console.status("looking at things") as status:
            for thing in self._file.things_to_look_at():
                self._file.add_principals(thing, self._reader.certificates_of(thing))
                done += 1
                if done % _SAID_EVERY == 0:
                    rest = _in_words((total - done) / identity_reader.THING_PACE)
                    status.update(f"{done:,} of {total:,} things looked at, {rest} to go")

    def _ask_who_shares(self) -> None:
        """Ask for the other things of each certificate of a sample; with --all, no question is needed."""
        if self._file.is_whole:
            return
        with self._console.status("asking which certificates are on other things as well"):
            for certificate in self._file.certificates_to_ask_about():
                self._file.add_sharing(certificate, self._reader.things_of(certificate))

    def _list_certificates(self) -> None:
        """Read the statuses from the list of certificates: a page of it costs what one certificate would cost."""
        counts = Counter[str]()
        with self._console.status("listing certificates") as status:
            for page in self._reader.certificates():
                counts.update(page.values())
                self._file.add_statuses(page, every=self._file.is_whole)
                status.update(f"{counts.total():,} certificates listed")
        self._file.write_note("statuses", json.dumps(counts))

    def _say_what_comes(self, left: int) -> None:
        """Print how long the step that takes longest will take, before it begins."""
        if not left:
            return
        seconds, total = left / identity_reader.THING_PACE, self._file.total
        what = f"all {total:,} things" if self._file.is_whole else f"a random {self._file.sample:,} of {total:,} things"
        if not self._file.is_whole:
            seconds += left / identity_reader.CERTIFICATE_PACE
        how = f"{identity_reader.THING_PACE:g} a second, half of what AWS IoT allows"
        print(f"Looking at {what}: {left:,} to go, {how}: {_in_words(seconds)} or more.", file=sys.stderr)
        print(f"To resume after an interruption: --resume {pasted(str(self._path))}", file=sys.stderr)


def _in_words(seconds: float) -> str:
    for name, length in (("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {name}"
    return f"{seconds:.0f} s"
