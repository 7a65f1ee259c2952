"""The envelope of an EventBridge event, and why its source can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from warden.core.errors import Refused
from warden.validation.fields import optional_object

if TYPE_CHECKING:  # the package imports the detectors, so they cannot import from it
    from warden.ingest.detectors import Envelope


def detail_of(event: Mapping[str, Any], envelope: Envelope) -> Mapping[str, Any]:
    """Unwrap an event that came from EventBridge itself.

    Only AWS can put an event whose source begins with `aws.`; anybody could write the same into an SNS message.

    Raises:
        Refused: when it came through a topic.
    """
    if envelope.topic:
        raise Refused(
            "wrong-route",
            "an EventBridge event arrived through an SNS topic, where every publisher can write one;"
            " send it to the inbox queue by an EventBridge rule",
        )
    return optional_object(event, "detail")
