"""What people read of a session that was closed, or not."""

from __future__ import annotations

import pytest

from warden.containment.wording import WORDS
from warden.core.ports import Disconnection


@pytest.mark.parametrize("became", Disconnection)
def test_every_ending_has_words(became: Disconnection) -> None:
    assert WORDS[became]


@pytest.mark.parametrize("became", ["invalid-request", "no-such-method", "unsupported"])
def test_an_endpoint_that_lacks_the_call_is_no_fault_of_the_device(became: str) -> None:
    words = WORDS[Disconnection(became)]

    assert "AWS did not take DeleteConnection, which a local AWS and some regions lack" in words
    assert became in words
