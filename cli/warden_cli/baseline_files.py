"""The files that the parameters of a baseline are deployed from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from warden_cli.errors import BadUsage
from warden_cli.terminal import shown


def writer_of(file: str, stack: str) -> Callable[[Mapping[str, str]], None]:
    """Return a function that writes the file. Its ending gives the form, and is checked before any call.

    Raises:
        BadUsage: when the ending is another, or the file cannot be written.
    """
    path = Path(file)
    if path.suffix not in _FORMS:
        raise BadUsage(f"--write {shown(file, 80)}: the file ends in .json (aws cloudformation) or .toml (sam deploy)")

    def write(parameters: Mapping[str, str]) -> None:
        try:
            path.write_text(_FORMS[path.suffix](parameters, stack), encoding="utf-8")
        except OSError as error:
            raise BadUsage(f"cannot write {shown(file)}: {shown(error.strerror or str(error))}") from error

    return write


def _for_cloudformation(parameters: Mapping[str, str], _stack: str) -> str:
    rows = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
    return f"{json.dumps(rows, indent=2)}\n"


def _for_sam(parameters: Mapping[str, str], stack: str) -> str:
    """Write a configuration of the SAM CLI. A JSON string is a TOML string as well."""
    overrides = " ".join(f"{name}={json.dumps(value)}" for name, value in parameters.items())
    settings = {
        "stack_name": stack,
        "resolve_s3": True,
        "capabilities": "CAPABILITY_IAM",
        "confirm_changeset": True,
        "parameter_overrides": overrides,
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    return "\n".join(["version = 0.1", "", "[default.deploy.parameters]", *lines, ""])


_FORMS = {".json": _for_cloudformation, ".toml": _for_sam}
