"""The kit by itself: what it refuses, what it escapes, and what its policy allows."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from jinja2 import UndefinedError

from tests.pages import hostile
from tests.pages.samples import PAGES, SURVEY, every_part, with_every_string
from warden_pages.kit import environment, visible
from warden_pages.survey import survey_page


class Elements(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def of_a_survey(text: str) -> str:
    return survey_page(with_every_string(SURVEY, text))


EVERY = pytest.mark.parametrize("written", [every_part, of_a_survey])


def shape(page: str) -> list[tuple[str, list[str]]]:
    return [(tag, sorted(attributes)) for tag, attributes in Elements(page).elements]


@EVERY
@pytest.mark.parametrize("text", hostile.ALL)
def test_what_a_page_is_given_never_becomes_an_element_or_an_attribute(
    written: Callable[[str], str], text: str
) -> None:
    assert shape(written(text)) == shape(written("Ordinary words"))


@EVERY
@pytest.mark.parametrize("text", hostile.ALL)
def test_what_a_page_is_given_is_read_in_full(written: Callable[[str], str], text: str) -> None:
    assert str(visible(text)) in Elements(written(text)).text


def test_what_cannot_be_seen_is_written_out() -> None:
    page = every_part(hostile.TURNED)

    assert "pump\\u202e3\\u2066\\u200b\\x00\\x1b[31m" in page
    assert all(each.isprintable() or each == "\n" for each in page)


def test_a_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        environment().from_string("{{ missing }}").render()


@pytest.mark.parametrize("name", PAGES)
def test_the_policy_allows_the_one_stylesheet_and_nothing_else(name: str) -> None:
    [style] = re.findall(r"<style>(.*?)</style>", PAGES[name], re.DOTALL)
    [policy] = [
        attributes["content"]
        for tag, attributes in Elements(PAGES[name]).elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]

    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_for_nothing(name: str) -> None:
    elements = Elements(PAGES[name]).elements

    assert {tag for tag, _ in elements} & {"script", "img", "link", "iframe", "object", "form", "base"} == set()
    assert [each for _, each in elements if {"src", "href", "style", "srcset"} & set(each)] == []
    [style] = re.findall(r"<style>(.*?)</style>", PAGES[name], re.DOTALL)
    assert "url(" not in style
    assert "@import" not in style
