"""Map frozen dataclasses to ledger records and back: one mapper, with a version for each type of record.

The form of a record follows the annotations of its class: strings, numbers and flags as they are, times as strings,
enums by their value, sequences as lists, mappings and other dataclasses as maps. A time that is None is an empty
string. `v` is the version of that form; `version`, which the ledger writes, counts the changes of the one record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from enum import EnumType
from functools import cached_property
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from warden.core.clock import from_text, to_text
from warden.core.errors import NewerRecord
from warden.core.ledger import Record

type Read = Callable[[Any], Any]
"""Returns the value that was stored as a record's attribute."""


@dataclass(frozen=True, kw_only=True)
class RecordType[T]:
    """How the values of a class are stored.

    `attributes` maps fields to the names they are stored under, where those differ. `sparse` fields are not stored
    while they are empty, because an index must not list empty attributes. `upgrades` turns a record of each earlier
    version into one of the next.
    """

    name: str
    of: type[T]
    v: int = 1
    attributes: Mapping[str, str] = field(default_factory=dict)
    sparse: Sequence[str] = ()
    upgrades: Mapping[int, Callable[[Record], Record]] = field(default_factory=dict)

    @cached_property
    def _readers(self) -> Mapping[str, Read]:
        """How each field is read. Resolved once, at the first record, because resolving annotations is slow."""
        return _readers_of(self.of)

    def record(self, value: T) -> dict[str, Any]:
        """Return a value as a record."""
        stored: dict[str, Any] = {"type": self.name, "v": self.v}
        for name in self._readers:
            each = getattr(value, name)
            if name != "version" and (each or name not in self.sparse):
                stored[self.attributes.get(name, name)] = _stored(each)
        return stored

    def value(self, record: Record) -> T:
        """Return the value of a record that this or an earlier version wrote.

        Raises:
            NewerRecord: when a newer version of the service wrote the record.
        """
        written = record.get("v", 1)
        if written > self.v:
            raise NewerRecord(f"the {self.name} is of version {written}; this service reads up to version {self.v}")
        for version in range(written, self.v):
            record = self.upgrades[version](record)
        return self.of(**dict(self._values(record)))

    def _values(self, record: Record) -> Iterator[tuple[str, Any]]:
        for name, read in self._readers.items():
            stored = self.attributes.get(name, name)
            if stored in record or name in self.sparse:
                yield name, read(record.get(stored, ""))


def _stored(value: Any) -> Any:
    if isinstance(value, datetime):
        return to_text(value)
    if isinstance(value, Mapping):
        return {name: _stored(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_stored(each) for each in value]
    if is_dataclass(value):
        return {each.name: _stored(getattr(value, each.name)) for each in fields(value)}
    return "" if value is None else value


def _readers_of(of: type[Any]) -> dict[str, Read]:
    hints = get_type_hints(of)
    return {each.name: _reader(hints[each.name]) for each in fields(of)}


def _reader(hint: Any) -> Read:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is UnionType:
        read = _reader(next(each for each in inner if each is not NoneType))
        return lambda stored: None if stored == "" else read(stored)
    if origin is Sequence:
        each = _reader(inner[0])
        return lambda stored: tuple(map(each, stored))
    if origin is Mapping:
        each = _reader(inner[1])
        return lambda stored: {name: each(value) for name, value in stored.items()}
    return _plain_reader(hint)


def _plain_reader(hint: type[Any]) -> Read:
    if hint is datetime:
        return from_text
    if is_dataclass(hint):
        readers = _readers_of(hint)
        return lambda stored: hint(**{name: read(stored[name]) for name, read in readers.items() if name in stored})
    return hint if isinstance(hint, EnumType) else _as_it_is


def _as_it_is(stored: Any) -> Any:
    return stored
