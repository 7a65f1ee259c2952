"""Serve device with a private authority for the certificates of devices."""

from __future__ import annotations

import pytest

from tests.aws_stand_in.calls import listen
from tests.functions.conftest import Deployment
from tests.functions.paths import Fleet, an_authority_of_ones_own_signs


def test_the_authority_that_the_stack_names_signs(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    an_authority_of_ones_own_signs(Fleet(deployment, listen(monkeypatch)))
