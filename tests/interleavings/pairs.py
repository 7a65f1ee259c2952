"""The pairs of invocations that meet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from tests.fakes import THING
from tests.interleavings import scenes
from tests.interleavings.play import Invocation, confirm, create, job_over, operator, respond, sweeping, take_up
from tests.interleavings.scenes import V1, V2, V3, Scene

CAMPAIGN = "campaign"
"""The group of the campaign's messages."""


@dataclass(frozen=True)
class Pair:
    """Invocations that meet."""

    name: str
    scene: Callable[[], Scene]
    invocations: Sequence[Invocation]


def _operator(command: str) -> Invocation:
    return lambda play: operator(command, play.world.cases[0].id)(play)


def _pair(name: str, scene: Callable[[], Scene], *invocations: Invocation) -> Pair:
    return Pair(name, scene, invocations)


_ONE = respond(THING)
_TURN = respond(CAMPAIGN)
_BOTH = (respond(V1), respond(V2))

SHARED = (
    _pair("release x quarantine of the other", scenes.release_and_quarantine, *_BOTH),
    _pair("release x release of the other", scenes.release_and_release, *_BOTH),
    _pair("quarantine x quarantine of the other", scenes.quarantine_and_quarantine, *_BOTH),
    _pair("end of a release's rotation x quarantine of the other", scenes.rotation_end_and_quarantine, *_BOTH),
    _pair("end of a release's rotation x release of the other", scenes.rotation_end_and_release, *_BOTH),
    _pair("end of a release's rotation x that of the other", scenes.rotation_end_and_rotation_end, *_BOTH),
    _pair("create x quarantine of the other", scenes.create_and_quarantine, create(V1), respond(V2)),
    _pair("confirm x quarantine of the other", scenes.confirm_and_quarantine, confirm(V1), respond(V2)),
    _pair("end of a renewal x quarantine of the other", scenes.renewal_end_and_quarantine, *_BOTH),
    _pair("end of a renewal x that of the other", scenes.renewal_end_and_renewal_end, *_BOTH),
    _pair("release with a new certificate x quarantine of the other", scenes.full_release_and_quarantine, *_BOTH),
    _pair("release of what is half way x quarantine of the other", scenes.half_way_release_and_quarantine, *_BOTH),
    _pair("another finding x release of the other", scenes.found_again_and_release, *_BOTH),
    _pair(
        "create of a release x quarantine of the other", scenes.releasing_create_and_quarantine, create(V1), respond(V2)
    ),
    _pair("create of a release x release of the other", scenes.releasing_create_and_release, create(V1), respond(V2)),
)
"""Two things on one certificate."""

SAME = (
    _pair("quarantine x create", scenes.renewing_and_quarantine, _ONE, create(THING)),
    _pair("quarantine x confirm", scenes.issued_and_quarantine, _ONE, confirm(THING)),
    _pair("quarantine x job over", scenes.ended_and_quarantine, _ONE, job_over(THING)),
    _pair("quarantine x sweep", scenes.ended_and_quarantine, _ONE, sweeping()),
    _pair("job timed out x create", scenes.over_before_create, _ONE, create(THING)),
    _pair("job timed out x confirm", scenes.over_before_confirm, _ONE, confirm(THING)),
    _pair("deadline x create", scenes.due_before_create, _ONE, create(THING)),
    _pair("deadline x confirm", scenes.due_before_confirm, _ONE, confirm(THING)),
    _pair("sweep x confirm", scenes.past_deadline, sweeping(), confirm(THING)),
    _pair("sweep x job over", scenes.ended_past_deadline, sweeping(), job_over(THING)),
    _pair("create x the same create", scenes.renewing, create(THING), create(THING)),
    _pair("create again x confirm", scenes.issued, create(THING), confirm(THING)),
    _pair("confirm x the same confirm", scenes.issued, confirm(THING), confirm(THING)),
    _pair("second disconnect x create", scenes.releasing_and_second_disconnect, _ONE, create(THING)),
    _pair("second disconnect x confirm", scenes.released_issued_and_second_disconnect, _ONE, confirm(THING)),
    _pair("second disconnect x operator releases", scenes.second_disconnect, _ONE, _operator("release")),
    _pair("another finding x create of a release", scenes.released_and_found_again, _ONE, create(THING)),
    _pair("another finding x confirm of a release", scenes.released_issued_and_found_again, _ONE, confirm(THING)),
    _pair("release x create of the renewal before", scenes.release_after_renewal, _ONE, create(THING)),
    _pair("release x device begins", scenes.release, _ONE, take_up(THING)),
    _pair("release x operator releases", scenes.release_keeping, _ONE, _operator(scenes.KEEPING)),
    _pair("end of a release x create again", scenes.release_ends, _ONE, create(THING)),
    _pair("release timed out x confirm", scenes.release_fails, _ONE, confirm(THING)),
    _pair("another try of what is half way x operator releases", scenes.half_way, _ONE, _operator(scenes.KEEPING)),
    _pair("approve x operator rejects", scenes.to_approve, _ONE, _operator("dismiss")),
)
"""One thing, through different functions; two messages of its group on the case queue never run at once."""

CAMPAIGNS = (
    _pair("campaign x quarantine", scenes.turn_and_quarantine, _TURN, _ONE),
    _pair("campaign x release", scenes.turn_and_release, _TURN, _ONE),
    _pair("campaign x create", scenes.turn_and_create, _TURN, create(THING)),
    _pair("campaign x confirm", scenes.turn_and_confirm, _TURN, confirm(THING)),
    _pair("campaign x end of its job", scenes.turn_and_end, _TURN, _ONE),
    _pair("campaign x device begins", scenes.turn_and_quarantine, _TURN, take_up(THING)),
    _pair("quarantine x create for a campaign", scenes.asked_and_quarantine, _ONE, create(THING)),
    _pair("quarantine x confirm for a campaign", scenes.asked_issued_and_quarantine, _ONE, confirm(THING)),
)

PAIRS = (*SHARED, *SAME, *CAMPAIGNS)

THREES = (
    _pair(
        "quarantine x release x create, on one certificate",
        scenes.quarantine_release_and_create,
        *(respond(V3), respond(V2), create(V1)),
    ),
    _pair("quarantine x release x sweep", scenes.quarantine_release_and_sweep, respond(V2), respond(V1), sweeping()),
    _pair("campaign x quarantine x confirm", scenes.turn_quarantine_and_confirm, _TURN, _ONE, confirm(THING)),
)
"""Three at a time."""


@cache
def scene_of(pair: Pair) -> Scene:
    """Build a pair's scene, once."""
    return pair.scene()
