"""The real handlers with old lists of AWS IoT: nothing is reported as done before it shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from functions.operate import app as operate_app
from functions.respond import app as respond_app
from tests.aws_stand_in.calls import listen
from tests.functions.conftest import RESTRICTED, Context, Deployment, batch, sample
from tests.functions.paths import Fleet, a_finding

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")  # of a message that failed

THING = "pump-3"
LISTS = ("ListAttachedPolicies", "ListThingPrincipals", "ListThingGroupsForThing", "GetEffectivePolicies")


@pytest.fixture(name="fleet")
def _fleet(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    return Fleet(deployment, listen(monkeypatch))


def is_done_with(messages: Sequence[object]) -> bool:
    """Hand messages to `respond`; return whether it has handled all of them."""
    answer: dict[str, Any] = respond_app.lambda_handler(batch(*messages), Context())
    return answer == {"batchItemFailures": []}


def groups_of(fleet: Fleet) -> list[str]:
    listed = fleet.deployment.client("iot").list_thing_groups_for_thing(thingName=THING)["thingGroups"]
    return [group["groupName"] for group in listed]


def state_of_the_case(fleet: Fleet) -> str:
    [case] = fleet.deployment.records("case")
    return str(case["case_state"])


def release(fleet: Fleet) -> list[dict[str, Any]]:
    """Decide on the release of the only case; return the messages to handle."""
    [case] = fleet.deployment.records("case")
    event = sample("operate-list-cases")
    command = f'{{"command": "release-keeping-certificate", "case": "{case["case_id"]}"}}'
    assert operate_app.lambda_handler(event | {"body": command}, Context())["statusCode"] == 200
    return fleet.deployment.queued()


def test_a_device_is_contained_and_released_while_no_list_shows_it(fleet: Fleet) -> None:
    deployment, strict = fleet.deployment, fleet.deployment.strict
    certificate = deployment.enrol(THING)

    strict.show_what_is_now(*LISTS)
    assert not is_done_with([a_finding(THING)])
    assert not is_done_with([a_finding(THING)])
    assert state_of_the_case(fleet) == "responding"

    strict.show_what_is_now()
    assert (deployment.policies_of(certificate), groups_of(fleet)) == ([RESTRICTED], [RESTRICTED])
    assert is_done_with([a_finding(THING)])
    assert state_of_the_case(fleet) == "contained"

    strict.show_what_is_now(*LISTS)
    decided = release(fleet)
    assert not is_done_with(decided)
    assert not is_done_with(decided)
    assert state_of_the_case(fleet) == "recovering"

    strict.show_what_is_now()
    assert (deployment.policies_of(certificate), groups_of(fleet)) == (["fleet-device"], [])
    assert is_done_with(decided)
    assert state_of_the_case(fleet) == "closed"
