"""What botocore's model says of requests and answers: the one is held against it, the other given its types."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from typing import Any

from botocore.model import ListShape, MapShape, ServiceModel, Shape, StringShape, StructureShape
from botocore.utils import parse_timestamp

_JAVA_CLASSES = {r"\p{Upper}": "A-Z", r"\p{Digit}": "0-9", r"\p{C}": r"\x00-\x1f\x7f-\x9f"}
INVALID = {"iot": "InvalidRequestException", "iot-data": "InvalidRequestException", "sns": "InvalidParameter"}
"""What a service calls a request that its model does not allow, where it is no ValidationException."""


def complaints(shape: Shape, value: Any, where: str = "") -> Iterator[str]:
    """List everything in a value that the model of its shape does not allow."""
    if isinstance(shape, StringShape):
        yield from _text(shape, value, where)
    elif shape.type_name in ("integer", "long", "float", "double"):
        yield from _length(shape, value, where)
    elif isinstance(shape, ListShape):
        yield from _length(shape, len(value), where)
    for member, name, part in _parts(shape, value):
        yield from complaints(member, part, f"{where}.{name}")


def _parts(shape: Shape, value: Any) -> Iterator[tuple[Shape, object, Any]]:
    if isinstance(shape, StructureShape):
        yield from ((shape.members[name], name, part) for name, part in value.items())
    elif isinstance(shape, ListShape):
        yield from ((shape.member, number, part) for number, part in enumerate(value))
    elif isinstance(shape, MapShape):
        yield from ((shape.key, name, name) for name in value)
        yield from ((shape.value, name, part) for name, part in value.items())


def _length(shape: Shape, size: float, where: str) -> Iterator[str]:
    if not shape.metadata.get("min", size) <= size <= shape.metadata.get("max", size):
        yield f"{where}: {size} is not between {shape.metadata.get('min')} and {shape.metadata.get('max')}"


def _text(shape: Shape, value: str, where: str) -> Iterator[str]:
    yield from _length(shape, len(value), where)
    enumeration = shape.metadata.get("enum")
    if enumeration and value not in enumeration:
        yield f"{where}: {value!r} is none of {enumeration}"
    pattern = shape.metadata.get("pattern")
    if pattern and not _compiled(pattern).fullmatch(value):
        yield f"{where}: {value!r} does not match {pattern}"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    for java, python in _JAVA_CLASSES.items():
        pattern = pattern.replace(java, python)
    return re.compile(pattern, re.ASCII)


def malformed(model: ServiceModel, operation: str, parameters: Mapping[str, Any]) -> str:
    """List everything in a request that botocore's model does not allow; empty when all is allowed."""
    shape = model.operation_model(operation).input_shape
    # A missing or mistyped parameter is botocore's own complaint, made before anything is sent.
    with suppress(AttributeError, KeyError, TypeError):
        if shape:
            return "; ".join(complaints(shape, parameters))
    return ""


def shaped(shape: Shape, value: Any) -> Any:
    """Return a value as the SDK parses it: only what its model names, with times as datetimes."""
    if isinstance(shape, StructureShape):
        there = {name: value[name] for name in shape.members if value.get(name) is not None}
        return {name: shaped(shape.members[name], each) for name, each in there.items()}
    if isinstance(shape, ListShape):
        return [shaped(shape.member, each) for each in value]
    if isinstance(shape, MapShape):
        return {name: shaped(shape.value, each) for name, each in value.items()}
    if shape.type_name == "timestamp":
        return _moment(value)
    return value


def _moment(value: Any) -> datetime:
    if isinstance(value, datetime):
        value = (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    moment: datetime = parse_timestamp(value)
    return moment
