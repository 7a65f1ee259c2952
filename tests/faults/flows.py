"""The flows that faults are made in. A flow is one entry in `FLOWS`: its name, what comes before, and its steps.

To add one, write its steps as functions of the world (world.py has what AWS, people and devices do) and append a
`Flow`. `before` is played undisturbed, once; every AWS call of `steps` is then a fault point. A step ends where nothing
is left to deliver: the engine begins a point at the beginning of its step. What must be true in the end is not said
here: invariants.py checks it, for every flow the same, and the engine compares the end with the clean run's.

An action that is new in `warden.plan.actions` has a rule of its own in PLAN and a flow of its own, from
its name.
A sample event that is new in events/ says in its row of the manifest which flow it gets; one that ends a finding needs
a row in `ENDS` as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tests.aws_stand_in.private_ca import AUTHORITY
from tests.fakes import NOON, a_key
from tests.faults.environment import RESTRICTED, Deployment
from tests.faults.world import THING, World, enrol, sample
from tests.sample_events import InFaults, in_faults
from warden.core.actions import QUARANTINE
from warden.plan.actions import COLLECT_LOGS, RENEW_CERTIFICATE, ROTATE_CERTIFICATE, TOUCHING
from warden.respond.actions import action_named

type Step = Callable[[World], object]

SOURCES = in_faults(InFaults.WORKED)
VARIANTS = in_faults(InFaults.REPORTED)
"""What the same sources send besides: the violations are none that Device Defender knows, and end there."""

JOBS = tuple(name for name in TOUCHING if action_named(name).is_job)
_AUDIT = "9f71b6e90cfb57d4ac671be3a4898e6a"
ABSENT = "pump-5"
OTHERS = {"pump-4": 400, ABSENT: 500}
"""Devices that a larger fleet has besides, each with the number of its first key."""
_VIOLATION = "37e18651d207bbc74236c13faf146127"


def _rule(name: str, condition: str, *actions: str, mode: str = "enforce") -> str:
    listed = ", ".join(f'"{action}"' for action in (*actions, "notify"))
    return f'[[rule]]\nname = "{name}"\n{condition}\nactions = [{listed}]\nmode = "{mode}"\n'


_TERMS = """
version = 1
[limits]
devices_per_hour = 20
[rotation]
mode = "{campaigns}"
attempts = 2
[hygiene]
on_no_thing = "clean"
inactive = "clean"
"""

_RULES = "".join(
    (
        *(_rule(f"does-{action}", f'source = "generic"\nkind = "*/needs-{action}"', action) for action in TOUCHING),
        _rule("waits", 'source = "generic"\nkind = "*/waits"', QUARANTINE, COLLECT_LOGS, mode="approve"),
        _rule("needs-renewal", 'source = "device-defender-audit"', ROTATE_CERTIFICATE),
        _rule("suspected", 'source = ["device-defender-detect", "guardduty"]', QUARANTINE, COLLECT_LOGS),
        _rule("by-hand", 'source = "operator"', QUARANTINE, COLLECT_LOGS),
        _rule("everything-else", ""),
    )
)
"""A rule for each action by itself, and one for each source that may act by itself."""

STANDARD = Deployment(_TERMS.format(campaigns="enforce") + _RULES)
ASKING = Deployment(_TERMS.format(campaigns="approve") + _RULES)
"""Campaigns wait for an operator to start them."""
PRIVATE_CA = Deployment(STANDARD.plan, AUTHORITY)


@dataclass(frozen=True)
class Flow:
    """A piece of the work: what comes before it, undisturbed, and its steps; and on whose terms."""

    name: str
    steps: tuple[Step, ...]
    before: tuple[Step, ...] = ()
    deployment: Deployment = STANDARD


# --- steps -------------------------------------------------------------------------------------------------------


def finding(kind: str, number: int = 1) -> Step:
    """Report something of a kind that the plan has a rule for, by some detector."""
    return lambda world: world.report(reported(kind, number))


def reported(kind: str, number: int = 1, thing: str = THING) -> str:
    """Return the event in which some detector reports something of a kind."""
    detail = {
        "schema": 1,
        "id": f"{kind}-{number}",
        "kind": kind,
        "subject": {"type": "thing", "name": thing},
        "severity": "high",
        "status": "open",
        "observedAt": f"{NOON - timedelta(minutes=1):%FT%TZ}",
        "description": f"{kind}, says a detector",
    }
    event = {
        "version": "0",
        "id": f"event-{number}",
        "detail-type": "Fleet Warden Finding",
        "source": "com.example.detector",
        "account": "123456789012",
        "time": f"{NOON:%FT%TZ}",
        "region": "us-east-1",
        "resources": [],
        "detail": detail,
    }
    return json.dumps(event)


def source(name: str) -> Step:
    """Deliver a sample event."""
    return lambda world: world.report(sample(name, world))


def deploy(request: str) -> Step:
    """Create or delete the custom resource as CloudFormation does."""
    return lambda world: world.deploy(request)


def work(world: World) -> None:
    """Let the devices do what they are asked to do."""
    world.work()


def sweep(**after: float) -> Step:
    """Let time pass, and sweep."""
    return lambda world: world.sweep(timedelta(**after))


def order(command: str, **arguments: str) -> Step:
    """Send the operator's decision about the only case, or the operator's finding about the device."""

    def step(world: World) -> None:
        if command in _OF_NO_CASE:
            world.order(command, **arguments)
        elif case := _the_case(world):
            world.order(command, case=case, **arguments)

    return step


_OF_NO_CASE = ("find", "stop", "resume", "campaign-start", "campaign-pause", "campaign-resume", "campaign-cancel")


def _the_case(world: World) -> str:
    """Find the case's id as an operator does, who can say nothing of it where the list is denied to him."""
    world.order("cases")
    listed = [json.loads(answer["body"]) for answer in world.state.answers if answer["command"] == "cases"]
    return str(listed[-1]["cases"][0]["id"]) if listed else ""


# --- steps by which a device, or the detector, is unlike itself -----------------------------------------------------


def listed_as_active(world: World) -> None:
    """Make Device Defender list the sample's violation and the audit's findings."""
    state = world.cloud.state
    state.violations[THING] = ["older", "older-still", _VIOLATION]
    for number, check in enumerate(("DEVICE_CERTIFICATE_SHARED_CHECK", "IOT_POLICY_OVERLY_PERMISSIVE_CHECK") * 2):
        state.audit_findings[f"audited-{number}"] = _audited(world, number, check)
    for known in ("70d1be35-0f8c-42e1-9d24-aa4be55b2f6c", "1928b87a-b338-ee2f-541f-6fab8c41c4f5"):
        state.audit_findings[known] = {**_audited(world, 9, "known"), "findingId": known, "taskId": "another"}


def _audited(world: World, number: int, check: str) -> dict[str, Any]:
    of_certificate = {
        "resourceType": "DEVICE_CERTIFICATE",
        "resourceIdentifier": {"deviceCertificateId": world.state.devices[THING].enrolled.certificate},
    }
    of_policy = {
        "resourceType": "IOT_POLICY",
        "resourceIdentifier": {"policyVersionIdentifier": {"policyName": f"wide-{number}", "policyVersionId": "1"}},
    }
    return {
        "findingId": f"audited-{number}",
        "taskId": _AUDIT,
        "checkName": check,
        "taskStartTime": 1795341540,
        "findingTime": 1795341600,
        "severity": "MEDIUM",
        "nonCompliantResource": of_certificate if "CERTIFICATE" in check else of_policy,
        "reasonForNonCompliance": "made by a test",
        "reasonForNonComplianceCode": "MADE_BY_A_TEST",
    }


def take_a_certificate_and_confirm(world: World) -> None:
    """Rotate, and never tell how the job ended."""
    world.device().begin_rotation()
    world.device().rotate()


def take_a_certificate_and_keep_silent(world: World) -> None:
    """Ask for a certificate, and never use it."""
    world.device().begin_rotation()
    world.device().create()


def lose_the_key_once(world: World) -> None:
    """Ask for a certificate, lose its key with the power, and rotate with another."""
    job = world.device().begin_rotation()
    if world.device().create():
        world.state.devices[THING].held.pop()
        world.state.devices[THING].next_key += 1
    done = world.device().rotate()
    world.cloud.move(job, THING, "SUCCEEDED" if done else "FAILED")
    world.drain()


def fail_the_rotation(world: World) -> None:
    """Ask for a certificate, and report a failure."""
    job = world.device().begin_rotation()
    world.device().create()
    world.cloud.move(job, THING, "FAILED")
    world.drain()


def refuse_the_job(world: World) -> None:
    """Reject every job."""
    for (job, thing), _ in list(world.cloud.iot.job_executions.items()):
        world.cloud.move(job, thing, "REJECTED")
    world.drain()


def come_of_age(world: World, thing: str = THING, age: timedelta = timedelta(days=400)) -> None:
    """Make the certificate that a device was enrolled with old."""
    certificate = world.cloud.iot.certificates[world.state.devices[thing].enrolled.certificate]
    certificate.creation_date -= age


def others_come_of_age(world: World) -> None:
    """Enrol two more devices, whose certificates are older than that of the first device."""
    for age, (thing, number) in enumerate(OTHERS.items()):
        enrol(world, thing, number)
        come_of_age(world, thing, timedelta(days=600 - 100 * age))
    _list_by_age(world)


def one_is_deleted(world: World) -> None:
    """Delete a device as its owner does: its certificate, detached first as AWS IoT demands, stays on no thing."""
    gone = world.state.devices.pop(ABSENT)
    certificate = world.cloud.iot.certificates[gone.enrolled.certificate]
    world.cloud.iot.detach_thing_principal(ABSENT, certificate.arn)
    world.cloud.iot.delete_thing(ABSENT)
    world.state.strays.append(certificate.certificate_id)


def leave_strays(world: World) -> None:
    """Make two old certificates on no thing: one ACTIVE with a policy, one that has been INACTIVE for long."""
    for number, status in ((300, "ACTIVE"), (301, "INACTIVE")):
        made = world.cloud.iot.register_certificate_without_ca(a_key(number).pem, status)
        made.creation_date -= timedelta(days=500)
        made.last_modified_date -= timedelta(days=400)
        world.cloud.iot.attach_policy("pump-policy", made.arn)
        world.state.strays.append(made.certificate_id)
    _list_by_age(world)


def _list_by_age(world: World) -> None:
    """List the oldest certificates first, as AWS IoT does; moto has them in the order in which they were put in."""
    known = world.cloud.iot.certificates
    aged = sorted(known.items(), key=lambda each: each[1].creation_date)
    known.clear()
    known.update(aged)


def find_what_is_due(world: World) -> None:
    """Run the schedule for old certificates, and the sweep that finds runs that died."""
    world.find_what_is_due()
    world.sweep(timedelta(minutes=25))


# --- what comes before -------------------------------------------------------------------------------------------

SUSPECTED: tuple[Step, ...] = (listed_as_active, source("detect-violation-in-alarm"), work)
ASKED_TO_ROTATE: tuple[Step, ...] = (finding(f"needs-{ROTATE_CERTIFICATE}"),)
ASKED_TO_RENEW: tuple[Step, ...] = (finding(f"needs-{RENEW_CERTIFICATE}"),)
SUSPECTED_BY_HAND = {"thing": THING, "kind": "suspicion", "severity": "high"}
ROTATED: tuple[Step, ...] = (*ASKED_TO_ROTATE, work)
RELEASE_BEGUN: tuple[Step, ...] = (*SUSPECTED, order("release"))
RELEASED = order("release-keeping-certificate")
A_DAY_LATER = sweep(hours=25)


CAMPAIGN: tuple[Step, ...] = (come_of_age, find_what_is_due)
CAMPAIGN_OF_THREE: tuple[Step, ...] = (others_come_of_age, *CAMPAIGN)
CAMPAIGN_ASKED: tuple[Step, ...] = (*CAMPAIGN, sweep(minutes=6))
STOPPED = order("stop", why="drill")


FOR_PRIVATE_CA = ASKED_TO_ROTATE, PRIVATE_CA


def _restricted_group_without_policy(world: World) -> None:
    attached = world.cloud.iot.principal_policies
    for target, policy in [key for key in attached if key[0].endswith(f":thinggroup/{RESTRICTED}")]:
        del attached[target, policy]


def audited_again(world: World) -> None:
    """Report the same checks by another audit, in which all findings are gone."""
    world.report(sample("audit-report", world).replace(_AUDIT, "0" * len(_AUDIT)))


def denied(call: str, step: Step) -> Step:
    """Take a step while a call is denied."""

    def taken(world: World) -> None:
        world.ground.wire.denied.add(call)
        step(world)
        world.ground.wire.denied.clear()

    return taken


def purged(step: Step) -> Step:
    """Take a step and drop what failed in it, as when somebody purges a queue."""

    def taken(world: World) -> None:
        step(world)
        world.state.given_up.clear()
        for queue in world.cloud.state.queues.values():
            queue.parked.clear()

    return taken


ENDS: Mapping[str, tuple[str, tuple[Step, ...]]] = {
    "detect-violation-alarm-cleared": ("source cleared", SUSPECTED),
    "security-hub-detect-archived": ("source over in Security Hub", SUSPECTED),
    "generic-finding-closed": ("source closed", (source("generic-finding"),)),
}
"""What ends a finding: the flow's name, and what comes before, so that there is one."""

FLOWS: tuple[Flow, ...] = (
    *(Flow(f"action {name}", (finding(f"needs-{name}"), work, sweep(minutes=9))) for name in TOUCHING),
    *(Flow(f"job of {name} never answered", (A_DAY_LATER,), (finding(f"needs-{name}"),)) for name in JOBS),
    *(Flow(f"job of {name} rejected", (refuse_the_job,), (finding(f"needs-{name}"),)) for name in JOBS),
    *(Flow(f"source {name}", (source(name), work), (listed_as_active,)) for name in SOURCES),
    Flow("source not confirmed", (source("detect-violation-in-alarm"),)),
    *(Flow(f"source {name}", (source(name),)) for name in VARIANTS),
    *(Flow(name, (source(event),), before) for event, (name, before) in ENDS.items()),
    Flow("audit finds it no more", (audited_again, sweep(minutes=31)), (listed_as_active, source("audit-report"))),
    Flow("told by the sweep", (sweep(minutes=6),), (denied("sns.Publish", finding("needs-nothing")),)),
    Flow("told by a digest", (sweep(minutes=61),), tuple(finding(f"storm-{number}") for number in range(22))),
    Flow("release with rotation", (order("release"), work), SUSPECTED),
    Flow("release keeping the certificate", (order("release-keeping-certificate"),), SUSPECTED),
    Flow("release confirmed, end never told", (take_a_certificate_and_confirm, A_DAY_LATER), RELEASE_BEGUN),
    Flow("release given up", (take_a_certificate_and_keep_silent, A_DAY_LATER), RELEASE_BEGUN),
    Flow("rotation confirmed, end never told", (take_a_certificate_and_confirm, A_DAY_LATER), ASKED_TO_ROTATE),
    Flow("rotation given up", (take_a_certificate_and_keep_silent, A_DAY_LATER), ASKED_TO_ROTATE),
    Flow("rotation failed", (fail_the_rotation,), ASKED_TO_ROTATE),
    Flow("rotation with a key lost", (lose_the_key_once,), ASKED_TO_ROTATE),
    Flow("rotation, private CA", (finding(f"needs-{ROTATE_CERTIFICATE}"), work, sweep(minutes=9)), (), PRIVATE_CA),
    Flow("rotation given up, private CA", (take_a_certificate_and_keep_silent, A_DAY_LATER), *FOR_PRIVATE_CA),
    Flow("rotation failed, private CA", (fail_the_rotation,), *FOR_PRIVATE_CA),
    Flow("rotation with a key lost, private CA", (lose_the_key_once,), *FOR_PRIVATE_CA),
    Flow("release with rotation, private CA", (order("release"), work), SUSPECTED, PRIVATE_CA),
    Flow("old certificate deleted", (sweep(days=8),), ROTATED),
    Flow("second disconnect", (sweep(minutes=9),), SUSPECTED),
    Flow("old certificates found", (find_what_is_due,), (come_of_age,)),
    Flow("certificates on no thing", (find_what_is_due,), (leave_strays,)),
    Flow("campaign", (sweep(minutes=6), work, sweep(minutes=6), sweep(minutes=6)), CAMPAIGN),
    Flow("campaign nobody answers", (*[A_DAY_LATER] * 4,), CAMPAIGN),
    Flow("campaign cancelled", (sweep(minutes=6), order("campaign-cancel"), A_DAY_LATER, sweep(minutes=6)), CAMPAIGN),
    Flow("operator finds", (order("find", **SUSPECTED_BY_HAND), work)),
    Flow("operator approves", (order("approve"), work), (finding("waits"),)),
    Flow("operator dismisses", (order("dismiss", why="known"),), (finding("waits"),)),
    Flow("operator collects logs", (order("collect-logs"), work), (finding(f"needs-{QUARANTINE}"),)),
    Flow("operator stops", (STOPPED, finding(f"needs-{QUARANTINE}"))),
    Flow("operator resumes", (order("resume"), finding(f"needs-{QUARANTINE}")), (STOPPED,)),
    Flow("renewal that a finding asks for", (sweep(minutes=6), work, *[sweep(minutes=6)] * 3), ASKED_TO_RENEW),
    Flow(
        "renewal asked for of whom a sweep found", (finding(f"needs-{RENEW_CERTIFICATE}"), sweep(minutes=6)), CAMPAIGN
    ),
    Flow("renewal overtaken", (order("find", **SUSPECTED_BY_HAND), work, sweep(minutes=6)), ASKED_TO_RENEW),
    Flow("campaign cancelled at once", (order("campaign-cancel"), sweep(minutes=6)), CAMPAIGN),
    Flow(
        "campaign cancelled half-way",
        (order("campaign-cancel"), sweep(minutes=6), sweep(minutes=6)),
        (come_of_age, purged(denied("iot.CreateJob", find_what_is_due))),
    ),
    Flow(
        "campaign of three, one is gone",
        (*[sweep(minutes=6), work] * 3, *[sweep(minutes=6)] * 3),
        (*CAMPAIGN_OF_THREE, one_is_deleted),
    ),
    Flow("campaign overtaken by a quarantine", (finding(f"needs-{QUARANTINE}"), sweep(minutes=6)), CAMPAIGN),
    Flow("campaign stopped by a failure", (fail_the_rotation, sweep(minutes=6)), CAMPAIGN_ASKED),
    Flow(
        "campaign resumed after a failure",
        (order("campaign-resume"), sweep(minutes=6)),
        (*CAMPAIGN_ASKED, fail_the_rotation),
    ),
    Flow("campaign started", (order("campaign-start"), sweep(minutes=6)), CAMPAIGN, ASKING),
    Flow("campaign paused", (order("campaign-pause"), sweep(minutes=6)), CAMPAIGN),
    Flow("campaign resumed", (order("campaign-resume"), sweep(minutes=6)), (*CAMPAIGN, order("campaign-pause"))),
    Flow("stack created", (deploy("create"),), (_restricted_group_without_policy,)),
    Flow("stack updated", (deploy("update"),), (deploy("create"),)),
    Flow("stack deleted", (deploy("delete"),), (deploy("create"),)),
    Flow("stack deleted with a level set", (deploy("delete"),), (*SUSPECTED, sweep(minutes=1), RELEASED)),
    Flow("level of the group set and taken back", (sweep(minutes=1), RELEASED, sweep(minutes=5)), SUSPECTED),
)
