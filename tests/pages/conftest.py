"""The tests of pages: one Chromium for all that look at them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pages.browser import Browser, NoBrowserError, a_browser

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    try:
        with a_browser(tmp_path_factory.mktemp("chromium")) as running:
            yield running
    except NoBrowserError as error:
        pytest.skip(str(error))
