"""How AWS cuts a list into pages, for the lists that moto or a stand-in gives whole."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.aws_stand_in.refusal import Refusal

_DEFAULT_PAGE = 25


class Pages(NamedTuple):
    """How a list is paged: the key of its entries, and the names of the size, of the place asked for, of the next."""

    entries: str
    size: str
    place: str
    following: str


def by_marker(entries: str) -> Pages:
    """Page as the older lists of AWS IoT do."""
    return Pages(entries, "pageSize", "marker", "nextMarker")


def by_token(entries: str) -> Pages:
    """Page as the newer lists of AWS IoT do."""
    return Pages(entries, "maxResults", "nextToken", "nextToken")


def page_of(pages: Pages, asked: Mapping[str, Any], answer: Mapping[str, Any], most: int) -> dict[str, Any]:
    """Cut the page that was asked for out of the whole answer, `most` entries at most."""
    entries = list(answer[pages.entries])
    begin = place(pages, asked)
    end = begin + min(int(asked.get(pages.size, _DEFAULT_PAGE)), most)
    kept = {key: value for key, value in answer.items() if key not in (pages.entries, pages.following)}
    following = {pages.following: b64encode(f"at {end}".encode()).decode()} if end < len(entries) else {}
    return {**kept, pages.entries: entries[begin:end], **following}


def place(pages: Pages, asked: Mapping[str, Any]) -> int:
    """Read where a page is to begin.

    Raises:
        Refusal: when the marker was never given out.
    """
    marker = asked.get(pages.place, "")
    if not marker:
        return 0
    try:
        word, number = b64decode(marker, validate=True).decode().split(" ")
        if word == "at":
            return int(number)
    except (Error, ValueError):
        pass
    raise Refusal("InvalidRequestException", "the marker is none that was given")
