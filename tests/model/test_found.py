"""What playing with the fleet has found, each in its shortest form."""

import pytest

from tests.fakes import a_finding, a_world
from tests.model.fleet import PLAN, PROTECTED
from warden.errors import Refused
from warden.plan import COLLECT_LOGS


def test_no_operator_sends_a_job_to_a_device_that_is_never_touched() -> None:
    world = a_world(PROTECTED, plan=PLAN)
    world.report(a_finding(PROTECTED, kind="noise"))

    with pytest.raises(Refused) as caught:
        world.order("collect-logs", world.case.id)

    assert caught.value.code == "never-touch"
    assert world.jobs.of(COLLECT_LOGS) == []
