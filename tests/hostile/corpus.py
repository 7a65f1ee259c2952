"""The corpus: one file per case, each with what is expected of it (tests/corpus/README.md)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.functions.conftest import ACCOUNT

CORPUS = ROOT / "tests" / "corpus"


@dataclass(frozen=True)
class Case:
    """A case as its file says it."""

    name: str
    said: Mapping[str, Any]

    @property
    def expect(self) -> Mapping[str, Any]:
        return dict(self.said["expect"])

    def text(self, key: str = "body") -> str:
        """Write out a string that the file holds in full, or in pieces with their repetitions."""
        return moved(written_out(self.said[key]))


def written_out(text: Any) -> str:
    return text if isinstance(text, str) else "".join(piece * times for piece, times in text)


def moved(text: str) -> str:
    """Move what was said in the samples' account to the one that moto plays; a certificate of zeros stays one."""
    return re.sub(r"(?<!0)0{12}(?!0)", ACCOUNT, text)


@cache
def cases(family: str = "") -> list[Case]:
    """Read a family: a folder, or the messages of detectors, which lie beside the folders."""
    return [Case(path.stem, json.loads(path.read_text())) for path in sorted((CORPUS / family).glob("*.json"))]


def name_of(case: Case) -> str:
    return case.name


def count(family: str) -> int:
    return len(list(Path(CORPUS / family).glob("*.json")))
