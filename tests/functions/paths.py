"""Every handler driven through all its paths on moto, as its triggers would drive it in AWS."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.resources import files
from threading import Thread
from typing import Any

import boto3
import pytest
from moto.iot.models import iot_backends

from functions.ingest import app as ingest_app
from functions.operate import app as operate_app
from functions.respond import app as respond_app
from functions.serve_device import app as serve_app
from functions.set_up_account import app as set_up_app
from functions.survey_account import app as survey_app
from functions.sweep_cases import app as sweep_app
from functions.sweep_certificates import app as sweep_certificates_app
from functions.track_device import app as track_app
from tests.aws_stand_in.account import trail_of
from tests.aws_stand_in.answers import AwsState
from tests.aws_stand_in.calls import Calls
from tests.aws_stand_in.refusal import Refusal
from tests.fakes import LOG, a_key
from tests.functions.conftest import ACCOUNT, REGION, Context, Deployment, batch, sample
from tests.functions.test_devices import a_request
from tests.sample_events import of_function
from tests.template import transformed
from tests.template.authorisation import OPTIONS
from tests.unit.survey.accounts import fill
from warden import bootstrap
from warden.core.account_facts import IotLogging, TrailStatus
from warden.core.ledger import Key, Put
from warden.plan.actions import TOUCHING

PREFIX = f"arn:aws:iot:{REGION}:{ACCOUNT}:"
AUTHORITY = OPTIONS["PrivateCaArn"].replace(f":{transformed.REGION}:", f":{REGION}:")
LONG_AGO = "2020-01-01T00:00:00.000000Z"

DEPLOYED = (files("warden_plan") / "response-plan.toml").read_text(encoding="utf-8")
PLAN = re.sub(r"^\[(rotation|hygiene)\].*?(?=^\[)", "", DEPLOYED, flags=re.DOTALL | re.MULTILINE)
UNNAMED = tuple(action for action in TOUCHING if f'"{action}"' not in DEPLOYED)
"""Actions that no rule of the deployed plan names: each has a rule of its own here, for a kind of its name."""

PLAN = PLAN.replace("thing_types = []", 'thing_types = ["ventilator"]').replace(
    "[[rule]]",
    "".join(
        f'[[rule]]\nname = "{action}"\nkind = "{action}"\nactions = ["{action}"]\nmode = "enforce"\n'
        for action in UNNAMED
    )
    + """
[rotation]
mode = "enforce"
policies_by_type = { "gauge" = ["fleet-device"] }

[hygiene]
on_no_thing = "clean"
inactive = "clean"

[[rule]]""",
    1,
)
"""The deployed plan, with every option that makes the service call AWS more."""


class Patient(Context):
    """The context of a run that has all the time there is."""

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return 900_000


class Fleet:
    """A deployment on moto with stand-ins for what moto lacks, and the callers of the handlers."""

    def __init__(self, deployment: Deployment, calls: Calls) -> None:
        self.deployment = deployment
        self.calls = calls
        self.aws.event_configurations = {"THING": {"Enabled": True}}
        self.aws.account.logging = IotLogging(level="ERROR", disabled=False)

    @property
    def aws(self) -> AwsState:
        """The state of AWS that moto has no place for."""
        return self.deployment.strict.state

    def respond(self, *messages: object) -> None:
        """Handle some messages, whose findings Device Defender lists, and everything that they queue."""
        for message in messages:
            self._have_found(message)
        while messages:
            assert respond_app.lambda_handler(batch(*messages), Context()) == {"batchItemFailures": []}
            messages = tuple(self.deployment.queued())

    def _have_found(self, message: object) -> None:
        match message:
            case {"finding": {"source": "device-defender-detect", "id": found, "subject": {"name": thing}}}:
                self.aws.violations.setdefault(thing, []).append(found)
            case {"finding": {"source": "device-defender-audit", "id": found}}:
                self.aws.audit_findings[found] = {"findingId": found}

    def operate(self, **command: object) -> dict[str, Any]:
        """Ask as the `warden` command does, and have what was decided carried out."""
        event = sample("operate-list-cases")
        event["requestContext"]["requestId"] = sha256(json.dumps(command).encode()).hexdigest()
        answer = operate_app.lambda_handler(event | {"body": json.dumps(command)}, Context())
        assert answer["statusCode"] == 200, answer
        self.respond(*self.deployment.queued())
        return dict(json.loads(answer["body"]))

    def ask_to_rotate(self, thing: str, certificate: str) -> None:
        """Report a shared certificate by an audit, and approve what the plan says about it."""
        self.respond(an_audit_finding("certificate", certificate, "DEVICE_CERTIFICATE_SHARED_CHECK"))
        self.operate(command="approve", case=self.case(thing))
        self.job(thing, "rotate-certificate")

    def ask(self, what: str, certificate: str, payload: object, thing: str) -> dict[str, Any]:
        """Ask as a device does; return the answer."""
        before = len(self.deployment.answers())
        answered = serve_app.lambda_handler(batch(a_request(what, certificate, payload, thing)), Context())
        assert answered == {"batchItemFailures": []}
        [(_, answer)] = self.deployment.answers()[before:]
        return answer

    def ask_in_vain(self, what: str, certificate: str, payload: object, thing: str) -> None:
        """Ask as a device does; the function dies."""
        answered = serve_app.lambda_handler(batch(a_request(what, certificate, payload, thing)), Context())
        assert answered == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}

    def ended(self, job: str, thing: str, status: str = "SUCCEEDED") -> None:
        """End an execution as its device does, and publish AWS IoT's event."""
        self.deployment.execution(job, thing, status)
        event = json.loads(sample("track-device-job-succeeded")["Records"][0]["body"])
        event |= {"jobId": job, "thingArn": f"{PREFIX}thing/{thing}", "status": status}
        assert track_app.lambda_handler(batch(event), Context()) == {"batchItemFailures": []}
        self.respond(*self.deployment.queued())

    def pass_time(self, *kinds: str) -> None:
        """Make the records of some types due, sweep, and work off what the sweep queues."""
        table: Any = boto3.resource("dynamodb", region_name=REGION).Table("ledger")
        for row in table.scan()["Items"]:
            if row["type"] in kinds and "due_at" in row:
                table.put_item(Item={**row, "due_at": LONG_AGO})
        assert sweep_app.lambda_handler(sample("sweep-cases"), Context())["queued"] > 0
        self.respond(*self.deployment.queued())

    def job(self, thing: str, action: str) -> str:
        """Return the id of a thing's last job, which the device has begun."""
        jobs = [job for job in self.deployment.records("job") if (job["thing"], job["action"]) == (thing, action)]
        job = str(max(jobs, key=lambda each: str(each["began_at"]))["job_id"])
        self.deployment.execution(job, thing, "IN_PROGRESS")
        return job

    def case(self, thing: str) -> str:
        [case] = [case for case in self.deployment.records("case") if case.get("case_thing") == thing]
        return str(case["pk"]).removeprefix("CASE#")

    def age_certificates(self) -> None:
        """Make every certificate years old."""
        for certificate in iot_backends[ACCOUNT][REGION].certificates.values():
            certificate.creation_date = certificate.last_modified_date = datetime(2020, 1, 1, tzinfo=UTC)

    def words_to_go_on(self) -> list[str]:
        """Take off its queue what a sweep of certificates left for its next turn."""
        url = os.environ["WARDEN_RENEWAL_QUEUE_URL"]
        messages = self.deployment.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
        for message in messages:
            self.deployment.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [str(message["Body"]) for message in messages]

    @contextmanager
    def dying_with_a_certificate_made(self) -> Iterator[None]:
        """Stop all writes to the ledger from the moment a certificate is made."""
        made = self.calls.made["serve_device"]
        before = len(made)

        def fail(_: Mapping[str, Any]) -> None:
            if any(call.operation == "CreateCertificateFromCsr" for call in made[before:]):
                raise Refusal("ThrottlingException", "slow down")

        faults = self.deployment.strict.faults
        faults |= dict.fromkeys(("PutItem", "TransactWriteItems"), fail)
        yield
        assert len([call for call in made[before:] if call.operation == "CreateCertificateFromCsr"]) == 1
        faults.clear()


def _reported() -> dict[str, Any]:
    """Write the sample's finding as ListAuditFindings does: the API counts seconds, messages count milliseconds."""
    message: dict[str, Any] = json.loads(sample("audit-finding")["Records"][0]["Sns"]["Message"])
    return message | {name: message[name] // 1000 for name in ("findingTime", "taskStartTime")}


def a_finding(thing: str, **changes: object) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(sample("respond-finding")["Records"][0]["body"])
    return message | {"finding": message["finding"] | {"subject": {"type": "thing", "name": thing}} | changes}


def an_audit_finding(about: str, name: str, check: str, task: str = "earlier") -> dict[str, Any]:
    attributes = {"check": check, "task": task}
    subject = {"type": about, "name": name}
    return a_finding("", id=task, source="device-defender-audit", kind=check, subject=subject, attributes=attributes)


# --- The paths -----------------------------------------------------------------------------------------------------


def whatever_detectors_send(fleet: Fleet) -> None:
    """Each sample, an audit's report and its pages, and what cannot be read."""
    for event in sorted(of_function("ingest"), key=lambda each: each.name):
        ingest_app.lambda_handler(sample(event.name), Context())
    ingest_app.lambda_handler(batch("not JSON"), Context())
    inbox = boto3.client("sqs", region_name=REGION)
    url = inbox.get_queue_url(QueueName="inbox")["QueueUrl"]
    fleet.aws.audit_findings["reported"] = _reported()
    readings = inbox.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert readings
    ingest_app.lambda_handler(batch(*(each["Body"] for each in readings)), Context())
    fleet.deployment.queued()


def a_device_is_contained_gives_its_logs_and_is_released_on_a_new_certificate(fleet: Fleet) -> None:
    iot = fleet.deployment.client("iot")
    old = fleet.deployment.enrol("pump-3", 1)
    iot.create_thing_group(thingGroupName="site")
    iot.create_thing_group(thingGroupName="site-4", parentGroupName="site")
    iot.attach_policy(policyName="fleet-device", target=f"{PREFIX}thinggroup/site")
    iot.add_thing_to_thing_group(thingName="pump-3", thingGroupName="site-4")
    fleet.respond(a_finding("pump-3"))
    _logs(fleet, old, arrive=True)
    fleet.operate(command="collect-logs", case=fleet.case("pump-3"))
    _logs(fleet, old, arrive=False)
    fleet.pass_time("containment")

    fleet.operate(command="release", case=fleet.case("pump-3"))
    job = fleet.job("pump-3", "rotate-certificate")
    ask = {"clientToken": "t", "csr": a_key(5).csr}
    with fleet.dying_with_a_certificate_made():
        fleet.ask_in_vain("certificate/create", old, ask, "pump-3")
    lost = fleet.ask("certificate/create", old, ask, "pump-3")["certificateId"]
    new = fleet.ask("certificate/create", old, {"clientToken": "t", "csr": a_key(6).csr}, "pump-3")["certificateId"]
    assert new != lost
    fleet.ask("certificate/confirm", new, {"clientToken": "t"}, "pump-3")
    fleet.ended(job, "pump-3")
    assert fleet.deployment.policies_of(new) == ["fleet-device"]
    fleet.pass_time("retirement")
    assert old not in str(iot.list_certificates()["certificates"])


def a_device_that_took_a_certificate_and_fell_silent(fleet: Fleet) -> None:
    """It dies between the making and the record, and its rotation is taken back."""
    certificate = fleet.deployment.enrol("pump-4", 2)
    fleet.ask_to_rotate("pump-4", certificate)
    with fleet.dying_with_a_certificate_made():
        ask = {"clientToken": "t", "csr": a_key(7).csr}
        fleet.ask_in_vain("certificate/create", certificate, ask, "pump-4")
    fleet.pass_time("job")
    assert len(fleet.deployment.client("iot").list_thing_principals(thingName="pump-4")["principals"]) == 1


def somebody_gives_rights_to_a_contained_device_s_new_certificate(fleet: Fleet) -> None:
    """They are taken from it when the device, which is being released, asks again."""
    certificate = fleet.deployment.enrol("pump-5", 3)
    fleet.respond(a_finding("pump-5"))
    fleet.operate(command="release", case=fleet.case("pump-5"))
    fleet.job("pump-5", "rotate-certificate")
    ask = {"clientToken": "t", "csr": a_key(8).csr}
    new = fleet.ask("certificate/create", certificate, ask, "pump-5")["certificateId"]
    fleet.deployment.client("iot").attach_policy(policyName="fleet-device", target=f"{PREFIX}cert/{new}")
    fleet.ask("certificate/create", certificate, ask, "pump-5")
    assert fleet.deployment.policies_of(new) == ["fleet-warden-restricted"]


def a_quarantine_takes_a_job_back(fleet: Fleet) -> None:
    certificate = fleet.deployment.enrol("pump-14", 64)
    fleet.ask_to_rotate("pump-14", certificate)
    job = fleet.job("pump-14", "rotate-certificate")
    fleet.respond(a_finding("pump-14"))
    iot = fleet.deployment.client("iot")
    assert iot.describe_job_execution(jobId=job, thingName="pump-14")["execution"]["status"] == "CANCELED"


def an_authority_of_ones_own_signs(fleet: Fleet) -> None:
    certificate = fleet.deployment.enrol("valve-1", 15)
    fleet.ask_to_rotate("valve-1", certificate)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WARDEN_PRIVATE_CA", AUTHORITY)
        bootstrap.context.cache_clear()
        ask = {"clientToken": "t", "csr": a_key(16).csr}
        answer = fleet.ask("certificate/create", certificate, ask, "valve-1")
    assert [answer["certificatePem"]] == list(fleet.aws.authority.signed.values())
    bootstrap.context.cache_clear()


def an_audit_no_longer_finds_what_it_found(fleet: Fleet) -> None:
    fleet.respond(an_audit_finding("policy", "pump-wide-open", "IOT_POLICY_OVERLY_PERMISSIVE_CHECK"))
    whatever_detectors_send(fleet)
    fleet.pass_time("audit-check")


def certificates_of_age_are_renewed(fleet: Fleet) -> None:
    """By a campaign. The first run has no time and is taken for dead, so that two runs are queued to continue."""
    iot = fleet.deployment.client("iot")
    iot.create_thing_type(thingTypeName="gauge")
    for number, thing in ((10, "gauge-2"), (11, "gauge-3")):
        fleet.deployment.enrol(thing, number)
        iot.update_thing(thingName=thing, thingTypeName="gauge")
    fleet.age_certificates()
    assert sweep_certificates_app.lambda_handler({}, Context()) == {"sweep": "continues"}
    fleet.pass_time("sweep")
    words = fleet.words_to_go_on()
    assert len(words) == 2
    answered = sweep_certificates_app.lambda_handler(batch("not JSON", *words), Patient())
    assert answered == {"batchItemFailures": []}

    fleet.pass_time("campaign")
    [job] = {str(each["job_id"]) for each in fleet.deployment.records("batch")}
    [thing] = {str(each["thing"]) for each in fleet.deployment.records("job") if each["job_id"] == job}
    [principal] = iot.list_thing_principals(thingName=thing)["principals"]
    fleet.deployment.execution(job, thing, "IN_PROGRESS")
    ask = {"clientToken": "t", "csr": a_key(14).csr}
    fleet.ask("certificate/create", principal.rpartition("/")[2], ask, thing)
    fleet.operate(command="campaign")
    for decision in ("pause", "resume", "cancel"):
        fleet.operate(command=f"campaign-{decision}")


def what_an_audit_finds_waits_for_a_campaign(fleet: Fleet) -> None:
    certificate = fleet.deployment.enrol("valve-2", 17)
    fleet.respond(an_audit_finding("certificate", certificate, "DEVICE_CERTIFICATE_EXPIRING_CHECK"))
    fleet.pass_time("campaign")
    fleet.job("valve-2", "rotate-certificate")
    fleet.operate(command="campaign-cancel")


def certificates_that_nobody_uses_are_cleaned_up(fleet: Fleet) -> None:
    """Two on no thing, which the plan wants INACTIVE or deleted. What becomes of the run is not looked at here."""
    iot = fleet.deployment.client("iot")
    for number, status in ((12, "ACTIVE"), (13, "INACTIVE")):
        stray = iot.register_certificate_without_ca(certificatePem=a_key(number).pem, status=status)
        iot.attach_policy(policyName="fleet-device", target=stray["certificateArn"])
    fleet.age_certificates()
    another = Context()
    another._aws_request_id = "request-2"
    sweep_certificates_app.lambda_handler({}, another)
    sweep_certificates_app.lambda_handler(batch(*fleet.words_to_go_on()), Patient())


def what_is_refused(fleet: Fleet) -> None:
    fleet.respond({"schema": 2, "type": "finding"})
    fleet.ask("certificate/create", "f" * 64, {"clientToken": "t"}, "pump-3")
    assert track_app.lambda_handler(batch("not JSON"), Context()) == {"batchItemFailures": []}


def everything_an_operator_asks(fleet: Fleet) -> None:
    fleet.deployment.enrol("pump-9", 4)
    fleet.operate(command="find", thing="pump-9", severity="high")
    case = fleet.case("pump-9")
    fleet.operate(command="show", case=case)
    fleet.operate(command="cases")
    fleet.operate(command="cases", thing="pump-9")
    fleet.operate(command="stop", why="drill")
    fleet.operate(command="resume")
    fleet.operate(command="release-keeping-certificate", case=case)
    fleet.deployment.enrol("pump-12", 42)
    fleet.operate(command="collect-logs", thing="pump-12")
    fleet.job("pump-12", "collect-logs")


def every_action_that_the_plan_does_not_name(fleet: Fleet) -> None:
    fleet.deployment.enrol("pump-11", 41)
    for action in UNNAMED:
        fleet.respond(a_finding("pump-11", id=action, kind=action))


def the_stack_is_made_and_taken_down(fleet: Fleet) -> None:
    """With a device contained, and released since the last sweep, so that there is a level to take back."""
    ledger, key = bootstrap.context().ports.ledger, Key("CASE#1", "CASE")
    case = {"type": "case", "case_state": "contained", "opened_at": LONG_AGO}
    with _cloudformation() as (url, answers):
        set_up_app.lambda_handler(sample("set-up-account-create") | {"ResponseURL": url}, Context())
        ledger.commit(Put(key, case, 0))
        sweep_app.lambda_handler(sample("sweep-cases"), Context())
        assert fleet.aws.account.group_levels
        ledger.commit(Put(key, {**case, "case_state": "closed"}, 1))
        set_up_app.lambda_handler(sample("set-up-account-delete") | {"ResponseURL": url}, Context())
    assert answers == ["SUCCESS", "SUCCESS"]
    assert not fleet.aws.account.group_levels


def the_account_is_surveyed(fleet: Fleet) -> None:
    """Twice, and worse the second time, so that people and programs are told."""
    account = fill(fleet.aws.account)
    trail = trail_of("iot-baseline")
    account.trails, account.trail_statuses = [trail], {trail.arn: TrailStatus(logging=True)}
    account.audits = [replace(task, started_at=datetime.now(UTC)) for task in account.audits]
    assert survey_app.lambda_handler(sample("survey-account"), Context())["surveyed"]
    [logging] = [each for each in account.in_stacks().resources["iot-baseline"] if each.type == "AWS::IoT::Logging"]
    logging.expected, logging.actual = {"DefaultLogLevel": "ERROR"}, {"DefaultLogLevel": "DISABLED"}
    for _ in range(3):  # it reads the drift and changes it back, hears that it was done, compares again
        assert not survey_app.lambda_handler(sample("survey-account"), Context())["surveyed"]
    assert logging.actual == {"DefaultLogLevel": "ERROR"}
    account.logging = None
    assert survey_app.lambda_handler({"now": True}, Context())["surveyed"]
    keys = [each["changes"][0]["key"] for each in fleet.aws.announced if "changes" in each]
    assert [key.partition(":")[0] for key in keys] == ["drift", "mend", "control"]


def _logs(fleet: Fleet, certificate: str, *, arrive: bool) -> None:
    job = fleet.job("pump-3", "collect-logs")
    announced = [{"name": "syslog", "bytes": len(LOG), "sha256": sha256(LOG).hexdigest()}]
    ask = {"clientToken": "t", "jobId": job, "files": announced}
    [upload] = fleet.ask("logs/create", certificate, ask, "pump-3")["uploads"]
    if arrive:
        fleet.deployment.client("s3").put_object(Bucket="evidence", Key=upload["fields"]["key"], Body=LOG)
    fleet.ended(job, "pump-3")


@contextmanager
def _cloudformation() -> Iterator[tuple[str, list[str]]]:
    """Return a URL like CloudFormation's, and the list of statuses that are put to it."""
    answers: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            answers.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["Status"])
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", answers
        finally:
            server.shutdown()
            thread.join()


PATHS: tuple[Callable[[Fleet], None], ...] = (
    the_stack_is_made_and_taken_down,
    certificates_of_age_are_renewed,
    whatever_detectors_send,
    a_device_is_contained_gives_its_logs_and_is_released_on_a_new_certificate,
    a_device_that_took_a_certificate_and_fell_silent,
    somebody_gives_rights_to_a_contained_device_s_new_certificate,
    a_quarantine_takes_a_job_back,
    an_authority_of_ones_own_signs,
    what_an_audit_finds_waits_for_a_campaign,
    an_audit_no_longer_finds_what_it_found,
    what_is_refused,
    everything_an_operator_asks,
    every_action_that_the_plan_does_not_name,
    certificates_that_nobody_uses_are_cleaned_up,
    the_account_is_surveyed,
)
"""In an order in which each leaves what the next needs: the stack is deleted while nothing is contained."""
