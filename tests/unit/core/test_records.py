"""The mapper of records: what is written is read again, in this version's form and in every earlier one's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import pytest

from tests.fakes import NOON, FakeLedger
from warden.core.errors import NewerRecord
from warden.core.ledger import NEW, Key, Put, Record
from warden.core.records import RecordType


class Colour(StrEnum):
    """An enum as the records have them."""

    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Wheel:
    """A value inside another."""

    size: int
    colour: Colour = Colour.RED
    fitted_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Cart:
    """A record with a field of every kind."""

    id: str
    owner: str
    state: Colour
    made_at: datetime
    sold_at: datetime | None = None
    due_at: datetime | None = None
    price: int = 0
    is_new: bool = False
    tags: Sequence[str] = ()
    colours: Sequence[Colour] = ()
    wheels: Mapping[str, Wheel] = field(default_factory=dict)
    best: Wheel
    axles: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    version: int = 0


@pytest.fixture(autouse=True)
def _every_record_holds_values() -> None:
    """Check nothing here: a cart is not a record of the service."""


CART = RecordType(name="cart", of=Cart, attributes={"id": "cart_id", "state": "cart_state"}, sparse=("owner", "due_at"))
KEY = Key("CART#1", "CART")
EVERYTHING = Cart(
    id="cart-1",
    owner="dana",
    state=Colour.BLUE,
    made_at=NOON,
    sold_at=NOON,
    due_at=NOON,
    price=7,
    is_new=True,
    tags=("a", "b"),
    colours=(Colour.RED, Colour.BLUE),
    wheels={"left": Wheel(3, Colour.BLUE, NOON), "right": Wheel(4)},
    best=Wheel(9),
    axles={"front": ("left", "right")},
    notes={"deep": {"list": [1, "two"]}},
)


def kept(record: Record) -> Record:
    """A record as the ledger returns it."""
    ledger = FakeLedger()
    ledger.commit(Put(KEY, record, NEW))
    stored = ledger.read(KEY)
    assert stored is not None
    return stored


def test_a_record_has_its_type_the_version_of_its_form_and_plain_values() -> None:
    noon = "2026-11-22T12:00:00.000000Z"

    assert CART.record(EVERYTHING) == {
        "type": "cart",
        "v": 1,
        "cart_id": "cart-1",
        "owner": "dana",
        "cart_state": "blue",
        "made_at": noon,
        "sold_at": noon,
        "due_at": noon,
        "price": 7,
        "is_new": True,
        "tags": ["a", "b"],
        "colours": ["red", "blue"],
        "wheels": {
            "left": {"size": 3, "colour": "blue", "fitted_at": noon},
            "right": {"size": 4, "colour": "red", "fitted_at": ""},
        },
        "best": {"size": 9, "colour": "red", "fitted_at": ""},
        "axles": {"front": ["left", "right"]},
        "notes": {"deep": {"list": [1, "two"]}},
    }


def test_what_is_written_is_read_with_the_version_that_the_ledger_gave() -> None:
    read = CART.value(kept(CART.record(EVERYTHING)))

    assert read == replace(EVERYTHING, version=1)
    assert isinstance(read.colours[0], Colour)


def test_what_is_empty_is_read_as_empty_and_a_sparse_field_is_not_stored() -> None:
    bare = Cart(id="cart-1", owner="", state=Colour.RED, made_at=NOON, best=Wheel(1))
    record = CART.record(bare)

    assert record["sold_at"] == ""
    assert not {"owner", "due_at"} & record.keys()
    assert CART.value(kept(record)) == replace(bare, version=1)


def test_a_field_that_an_earlier_record_lacks_has_its_default() -> None:
    record = {name: value for name, value in CART.record(EVERYTHING).items() if name not in ("price", "v")}

    assert CART.value(record) == replace(EVERYTHING, price=0)
    assert CART.value({**record, "best": {"size": 9}}).best == Wheel(9)


def test_a_record_of_an_earlier_version_is_upgraded_step_by_step() -> None:
    third = RecordType(
        name="cart",
        of=Cart,
        v=3,
        attributes=CART.attributes,
        upgrades={
            1: lambda record: {**record, "cost": record["price"] * 100},
            2: lambda record: {**record, "price": record["cost"]},
        },
    )
    first = CART.record(EVERYTHING)

    assert third.value(first) == replace(EVERYTHING, price=700)
    assert third.value({**first, "v": 2, "cost": 8}) == replace(EVERYTHING, price=8)
    assert third.value(third.record(EVERYTHING)) == EVERYTHING
    assert third.record(EVERYTHING)["v"] == 3


def test_a_record_of_a_newer_version_is_not_guessed_at() -> None:
    with pytest.raises(NewerRecord, match=r"^the cart is of version 2; this service reads up to version 1$"):
        CART.value({**CART.record(EVERYTHING), "v": 2})
