"""Every page in a browser, narrow and wide, light and dark, on a screen and on paper."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.pages.browser import Browser
from tests.pages.look import OVERFLOWING, PALE, SCRIPTS
from tests.pages.samples import PAGES

SHOTS = ROOT / "build" / "pages"
"""Where the pictures are kept, for people to look at."""


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"{request.param}.html"
    path.write_text(PAGES[request.param], encoding="utf-8")
    return path


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits_and_can_be_read(page: Path, width: int, dark: bool, browser: Browser) -> None:
    browser.open(page, width=width, dark=dark)

    SHOTS.mkdir(parents=True, exist_ok=True)
    browser.screenshot(SHOTS / f"{page.stem} {width} {'dark' if dark else 'light'}.png")
    assert browser.ask("innerWidth") == width
    assert browser.ask(OVERFLOWING) == []
    assert browser.ask(PALE) == []
    assert browser.ask(SCRIPTS) == 0
    assert browser.console == []
    assert browser.requests == [page.as_uri()]


def test_on_paper_it_can_be_read(page: Path, browser: Browser) -> None:
    browser.open(page, width=720, dark=True, media="print")

    assert browser.ask(PALE) == []
    assert browser.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


@pytest.mark.parametrize(
    ("fault", "script"),
    [
        ("<p>" + "x" * 50 + "</p><div style='width: 3000px'>wide</div>", OVERFLOWING),
        ("<p style='color: #999999; background: #ffffff'>pale</p>", PALE),
        ("<p style='color: #000000; background: #00000080'>half</p>", PALE),
    ],
)
def test_each_question_can_fail(fault: str, script: str, tmp_path: Path, browser: Browser) -> None:
    path = tmp_path / "fault.html"
    path.write_text(f"<!doctype html><meta charset=utf-8><body>{fault}", encoding="utf-8")
    browser.open(path, width=1280)

    assert len(browser.ask(script)) > 0
