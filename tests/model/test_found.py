"""What the model of the fleet has found, each in its shortest form."""

import pytest

from tests.fakes import DEVICE_POLICY, a_finding, a_world
from tests.model.fleet import PLAN, PROTECTED
from warden.core.errors import Refused
from warden.plan.actions import COLLECT_LOGS


def test_no_operator_sends_a_job_to_a_device_that_is_never_touched() -> None:
    world = a_world(PROTECTED, plan=PLAN)
    world.report(a_finding(PROTECTED, kind="noise"))

    with pytest.raises(Refused) as caught:
        world.order("collect-logs", world.case.id)

    assert caught.value.code == "never-touch"
    assert world.jobs.of(COLLECT_LOGS) == []


def test_a_device_that_leaves_a_shared_certificate_inside_its_quarantine_is_released_with_its_rights() -> None:
    """The other device on the certificate was contained first, and its snapshot alone had their policies."""
    world = a_world("valve-1", "valve-2")
    first, second = world.devices.values()
    del world.certificates.stored[second.certificate]
    world.registry.attached[:] = [(first.certificate, thing) for thing in world.devices]
    second.certificate = first.certificate
    world.report(a_finding("valve-1"))
    world.report(a_finding("valve-2", id="violation-2"))
    case = next(case for case in world.cases if case.thing == "valve-2")

    world.order("release", case.id)
    second.work()
    world.drain()

    assert world.policies("valve-2") == {second.certificate: {DEVICE_POLICY}}
    assert world.active_certificates("valve-2") == [second.certificate]
