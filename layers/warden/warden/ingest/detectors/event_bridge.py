"""What EventBridge wraps around a message, and why its word on who sent it can be believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from warden.core.errors import Refused
from warden.validation.fields import optional_object

if TYPE_CHECKING:  # the package imports the detectors, so they cannot import from it
    from warden.ingest.detectors import Envelope


def detail_of(event: Mapping[str, Any], envelope: Envelope) -> Mapping[str, Any]:
    """Unwrap an event that came from EventBridge itself.

    Only AWS can put an event with a source of `aws.`; the same text in an SNS message could be anybody's.

    Raises:
        Refused: when it came by way of a topic.
    """
    if envelope.topic:
        raise Refused(
            "wrong-route",
            "an EventBridge event arrived through an SNS topic, where every publisher can write one;"
            " send it to the inbox queue by an EventBridge rule",
        )
    return optional_object(event, "detail")
