"""A check in every unit test: no record has words where a value belongs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes import FakeLedger
from tests.record_forms import faults_in
from warden.core.ledger import Put


@pytest.fixture(autouse=True)
def _every_record_holds_values(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Check every record that the service commits in a test."""
    faults: list[str] = []
    commit = FakeLedger.commit

    def checked(ledger: FakeLedger, *puts: Put) -> None:
        for put in puts:
            faults.extend(faults_in(put.record))
        commit(ledger, *puts)

    monkeypatch.setattr(FakeLedger, "commit", checked)
    yield
    assert not faults, "\n".join(sorted(set(faults)))
