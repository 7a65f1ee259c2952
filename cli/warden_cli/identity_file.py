"""The file of a run that looks at the identities of things: what was read so far, and what follows from it.

It is an SQLite file, so that memory does not grow with the fleet and an interrupted run can be resumed. A certificate
that is in the file twice is shared.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from warden_cli.errors import BadUsage
from warden_cli.terminal import shown

_FORM, _MARK = 1_464_419_377, "PRAGMA application_id = 1464419377"
"""SQLite's `application_id` of our files; it changes with the tables."""

_TABLES = """
CREATE TABLE note (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE thing (name TEXT PRIMARY KEY, seen INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE certificate (id TEXT PRIMARY KEY, status TEXT, things INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE attached (
    certificate TEXT, thing TEXT, exclusive INTEGER NOT NULL, PRIMARY KEY (certificate, thing)
) WITHOUT ROWID;
CREATE INDEX attached_thing ON attached (thing);
"""
"""`thing.seen`: 0 not yet, 1 looked at, 2 gone. `certificate.things`: on how many, where AWS IoT was asked for them."""


class Step(StrEnum):
    """The steps of a run, in their order."""

    THINGS = "things"
    PRINCIPALS = "principals"
    SHARING = "sharing"
    CERTIFICATES = "certificates"
    DONE = "done"


class Kind(StrEnum):
    """What can be found about a thing's identity."""

    NO_CERTIFICATE = "no-certificate"
    SEVERAL = "several-certificates"
    SHARED = "shared-certificate"
    NONE_ACTIVE = "no-active-certificate"
    LEFT_OVER = "left-over-certificate"
    ON_NO_THING = "on-no-thing"


FALLING_SHORT = (Kind.NO_CERTIFICATE, Kind.SEVERAL, Kind.SHARED, Kind.NONE_ACTIVE)
"""The others are left by a rotation for a while, or are unused."""


@dataclass(frozen=True)
class Row:
    """One line of the report: a thing and a certificate of it, or one of the two."""

    kind: Kind
    thing: str
    certificate: str
    status: str
    things: int
    """For a shared certificate, the number of its things that were read."""


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """A certificate of a thing. An exclusive certificate cannot be on a second thing."""

    certificate: str
    exclusive: bool


class IdentityFile:
    """What a run has read. Each method that writes is a transaction of its own: a run may die between any two."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database

    # --- notes -------------------------------------------------------------------------------------------------------

    def note(self, name: str, default: str = "") -> str:
        """Return a note about the run."""
        found = self._db.execute("SELECT value FROM note WHERE name = ?", (name,)).fetchone()
        return str(found[0]) if found else default

    def write_note(self, name: str, value: str) -> None:
        """Write a note about the run."""
        with self._db:
            self._db.execute("INSERT OR REPLACE INTO note VALUES (?, ?)", (name, value))

    @property
    def step(self) -> Step:
        """The step that the run is at."""
        return Step(self.note("step", Step.THINGS))

    @property
    def sample(self) -> int:
        """How many things are looked at; 0 for all."""
        return int(self.note("sample", "0"))

    @property
    def total(self) -> int:
        """How many things AWS IoT listed."""
        return int(self.note("total", "0"))

    @property
    def is_whole(self) -> bool:
        """Whether every thing is looked at. It is known once things are listed."""
        return not self.sample or self.total <= self.sample

    @property
    def lacking(self) -> frozenset[str]:
        """The actions that the caller lacks."""
        return frozenset(filter(None, self.note("lacking").split(",")))

    @property
    def knows_statuses(self) -> bool:
        """Whether the list of certificates, which has their statuses, was read."""
        return self.note("statuses") != ""

    # --- what was read -----------------------------------------------------------------------------------------------

    def add_things(self, names: Iterable[str]) -> None:
        """Add things to look at; a thing is added only once."""
        with self._db:
            self._db.executemany("INSERT OR IGNORE INTO thing (name) VALUES (?)", ((name,) for name in names))

    def things_to_look_at(self) -> Iterator[str]:
        """List the things that are not looked at yet. They may be looked at while they are listed."""
        last = ""
        while True:
            asked = "SELECT name FROM thing WHERE seen = 0 AND name > ? ORDER BY name LIMIT 500"
            names = [str(name) for (name,) in self._db.execute(asked, (last,))]
            if not names:
                return
            yield from names
            last = names[-1]

    def add_principals(self, thing: str, found: Iterable[Attachment] | None) -> None:
        """Note the certificates of a thing; None if the thing is gone."""
        attachments = [*(found or ())]
        with self._db:
            self._db.execute("UPDATE thing SET seen = ? WHERE name = ?", (2 if found is None else 1, thing))
            self._db.executemany(
                "INSERT OR IGNORE INTO certificate (id) VALUES (?)", ((each.certificate,) for each in attachments)
            )
            self._db.executemany(
                "INSERT OR REPLACE INTO attached VALUES (?, ?, ?)",
                ((each.certificate, thing, each.exclusive) for each in attachments),
            )

    def certificates_to_ask_about(self) -> Iterator[str]:
        """List the certificates that may be on other things as well. They may be asked about while they are listed."""
        last = ""
        while True:
            asked = """SELECT DISTINCT id FROM certificate JOIN attached ON certificate = id
                WHERE things = 0 AND NOT exclusive AND id > ? ORDER BY id LIMIT 500"""
            ids = [str(each) for (each,) in self._db.execute(asked, (last,))]
            if not ids:
                return
            yield from ids
            last = ids[-1]

    def add_sharing(self, certificate: str, things: int) -> None:
        """Record how many things a certificate is attached to."""
        with self._db:
            self._db.execute("UPDATE certificate SET things = ? WHERE id = ?", (things, certificate))

    def add_statuses(self, statuses: Mapping[str, str], *, every: bool) -> None:
        """Note the statuses of certificates: of every one, or of those that a thing has."""
        with self._db:
            if every:
                self._db.executemany(
                    "INSERT OR IGNORE INTO certificate (id) VALUES (?)", ((each,) for each in statuses)
                )
            self._db.executemany(
                "UPDATE certificate SET status = ? WHERE id = ?", ((status, each) for each, status in statuses.items())
            )

    # --- what follows from it ----------------------------------------------------------------------------------------

    def rows(self, kind: Kind) -> Iterator[Row]:
        """List what was found of a kind, one line at a time."""
        asked = "SELECT thing, certificate, status, things FROM finding WHERE kind = ? ORDER BY thing, certificate"
        for thing, certificate, status, things in self._db.execute(asked, (kind,)):
            yield Row(kind, thing, certificate, status or "", things)

    def count(self, kind: Kind) -> int:
        """Count the things of a kind, or the certificates that are on no thing."""
        asked = "SELECT count(DISTINCT iif(thing = '', certificate, thing)) FROM finding WHERE kind = ?"
        return int(self._db.execute(asked, (kind,)).fetchone()[0])

    def first(self, kind: Kind, most: int) -> list[str]:
        """List the first things of a kind, or the first certificates that are on no thing."""
        asked = "SELECT DISTINCT iif(thing = '', certificate, thing) FROM finding WHERE kind = ? ORDER BY 1 LIMIT ?"
        return [str(name) for (name,) in self._db.execute(asked, (kind, most))]

    def looked_at(self) -> tuple[int, int, int]:
        """Count the things that were looked at, those that are gone, and those that are still to be looked at."""
        counts = dict(self._db.execute("SELECT seen, count(*) FROM thing GROUP BY seen"))
        return counts.get(1, 0), counts.get(2, 0), counts.get(0, 0)

    def exclusive(self) -> int:
        """Count the things with a certificate that can be on no other."""
        return int(self._db.execute("SELECT count(DISTINCT thing) FROM attached WHERE exclusive").fetchone()[0])

    def shared_certificates(self) -> int:
        """Count the certificates that are on several things."""
        return int(self._db.execute("SELECT count(*) FROM shared").fetchone()[0])

    def statuses(self) -> Mapping[str, int]:
        """Count the account's certificates by status."""
        return {str(name): int(count) for name, count in json.loads(self.note("statuses", "{}")).items()}


_FINDINGS = """
CREATE TEMP VIEW shared AS
SELECT certificate AS id, max(count(*), max(certificate.things)) AS things
FROM attached JOIN certificate ON certificate.id = attached.certificate
GROUP BY attached.certificate HAVING count(*) > 1 OR max(certificate.things) > 1;

CREATE TEMP VIEW of_thing AS
SELECT thing, count(*) AS certificates, count(status) AS known, total(status = 'ACTIVE') AS active
FROM attached JOIN certificate ON certificate.id = attached.certificate GROUP BY thing;

CREATE TEMP VIEW finding AS
SELECT 'no-certificate' AS kind, name AS thing, '' AS certificate, '' AS status, 0 AS things FROM thing
WHERE seen = 1 AND NOT EXISTS (SELECT 1 FROM attached WHERE attached.thing = name)
UNION ALL
SELECT 'several-certificates', thing, id, status, 0 FROM attached JOIN certificate ON id = certificate
WHERE thing IN (SELECT thing FROM of_thing WHERE active > 1 OR (known = 0 AND certificates > 1))
UNION ALL
SELECT 'shared-certificate', thing, certificate.id, status, shared.things
FROM shared JOIN attached ON attached.certificate = shared.id JOIN certificate ON certificate.id = shared.id
UNION ALL
SELECT 'no-active-certificate', thing, id, status, 0 FROM attached JOIN certificate ON id = certificate
WHERE thing IN (SELECT thing FROM of_thing WHERE active = 0 AND known = certificates)
UNION ALL
SELECT 'left-over-certificate', thing, id, status, 0 FROM attached JOIN certificate ON id = certificate
WHERE thing IN (SELECT thing FROM of_thing WHERE active = 1 AND certificates > 1)
UNION ALL
SELECT 'on-no-thing', '', id, status, 0 FROM certificate
WHERE NOT EXISTS (SELECT 1 FROM attached WHERE attached.certificate = id);
"""
"""What was found, by the words of `Kind`. A status that was not read is NULL, and counts as no other status."""


def make(path: Path, notes: Mapping[str, str]) -> None:
    """Make the file of a new run."""
    database = sqlite3.connect(path)
    with database:
        database.executescript(_TABLES)
        database.execute(_MARK)
        database.executemany("INSERT INTO note VALUES (?, ?)", notes.items())
    database.close()


@contextmanager
def opened(path: Path, account: str, region: str) -> Iterator[IdentityFile]:
    """Open the file of a run for as long as it is needed, and lock out every other run.

    Raises:
        BadUsage: when it is not such a file, is another account's or region's, or is in use.
    """
    named = shown(str(path), 200)
    try:
        database = sqlite3.connect(path, timeout=1) if path.is_file() else None
    except (OSError, sqlite3.Error) as error:
        raise BadUsage(f"--resume {named}: it cannot be read ({shown(str(error), 100)})") from error
    if database is None:
        raise BadUsage(f"--resume {named}: there is no such file; start again without --resume")
    try:
        _check(database, named, account, region)
        yield IdentityFile(database)
    finally:
        database.close()


def _check(database: sqlite3.Connection, named: str, account: str, region: str) -> None:
    try:
        # What is lost with the power is looked up again; waiting for the disk at each thing would take longer.
        database.executescript("PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT")
        form = database.execute("PRAGMA application_id").fetchone()[0]
        notes: dict[str, str] = dict(database.execute("SELECT name, value FROM note")) if form == _FORM else {}
    except sqlite3.DatabaseError as error:
        in_use = isinstance(error, sqlite3.OperationalError) and "locked" in str(error)
        why = "another run is using it" if in_use else f"it cannot be read ({shown(str(error), 100)})"
        raise BadUsage(f"--resume {named}: {why}") from error
    if form != _FORM:
        raise BadUsage(f"--resume {named}: it is not the file of such a run, or that of another version")
    database.executescript(_FINDINGS)
    if (notes["account"], notes["region"]) != (account, region):
        where = f"account {notes['account']}, {notes['region']}"
        raise BadUsage(f"--resume {named}: it is of {where}, and you are in account {account}, {region}")
