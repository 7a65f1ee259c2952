"""What AWS answers instead of doing what was asked."""

from typing import Any

from botocore.model import ServiceModel


class Refusal(Exception):  # noqa: N818 - what AWS answers, not a fault of the program
    """What AWS answers instead of doing it; `fields` are those that its model gives this error besides."""

    def __init__(self, code: str, message: str, **fields: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.fields = fields


def status_of(model: ServiceModel, code: str) -> int:
    """Return the HTTP status that the service's model gives an error; 400 where it names none."""
    shape: Any = model.shape_for_error_code(code)  # type: ignore[arg-type]  # the stubs take a number
    return int(shape.metadata.get("error", {}).get("httpStatusCode", 400)) if shape else 400
