"""The flows by themselves, each from the moment at which it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.fakes import THING
from tests.interleavings import scenes
from tests.interleavings.pairs import CAMPAIGN
from tests.interleavings.play import Invocation, confirm, create, respond, sweeping
from tests.interleavings.scenes import V1, V2, Scene


@dataclass(frozen=True)
class Course:
    """A flow that is about to run, and the thing that it concerns."""

    name: str
    scene: Callable[[], Scene]
    run: Invocation
    thing: str = THING


COURSES = (
    Course("quarantine", scenes.quarantine, respond(THING)),
    Course("quarantine during a renewal", scenes.issued_and_quarantine, respond(THING)),
    Course("quarantine tried again", scenes.half_way, respond(THING)),
    Course("second disconnect", scenes.second_disconnect, respond(THING)),
    Course("look", scenes.look, respond(THING)),
    Course("release with a new certificate", scenes.release, respond(THING)),
    Course("release keeping the certificate", scenes.release_keeping, respond(THING)),
    Course("end of a release's rotation", scenes.release_ends, respond(THING)),
    Course("end of a release's rotation that failed", scenes.release_fails, respond(THING)),
    Course("cancel of a release", scenes.cancelled, respond(THING)),
    Course("certificate/create", scenes.renewing, create(THING)),
    Course("certificate/confirm", scenes.issued, confirm(THING)),
    Course("certificate/create of a release", scenes.releasing, create(THING)),
    Course("certificate/confirm of a release", scenes.released_issued, confirm(THING)),
    Course("end of a renewal", scenes.renewal_ends, respond(THING)),
    Course("end of a renewal that failed", scenes.over_before_confirm, respond(THING)),
    Course("campaign's turn", scenes.turn_and_quarantine, respond(CAMPAIGN)),
    Course("sweep", scenes.ended_past_deadline, sweeping()),
    Course("release, of a shared certificate", scenes.release_and_quarantine, respond(V1), V1),
    Course("quarantine, when the other is released", scenes.release_and_quarantine, respond(V2), V1),
    Course("end of a renewal, of a shared certificate", scenes.renewal_end_and_renewal_end, respond(V1), V1),
)
