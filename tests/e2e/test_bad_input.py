"""Whatever comes in ends in one way: done, refused with a reason on record, or parked. On the deployed application."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_fleet.enrol import DEVICE_POLICY_NAME, AgentProcess, Device, enrol
from tests.e2e.stack_driver import Around, Stack
from tests.waiting import PATIENCE, until
from warden_agent.identity import KeyAlgorithm, new_key, signing_request


@pytest.fixture
def around(stack: Stack) -> Around:
    return Around(stack)


@pytest.fixture(autouse=True)
def _nothing_is_parked(around: Around) -> Any:
    yield
    assert around.parked() == 0


def await_refusal(around: Around, code: str, before: int = 0) -> dict[str, Any]:
    """Wait for a refusal more than there were; return it."""
    found = until(
        lambda: around.records("refusal", code=code)[before:], PATIENCE, what=f"a refusal {code} more than {before}"
    )
    return found[-1]


class TestMessages:
    @pytest.mark.parametrize(
        ("message", "code"),
        [
            ("this is not JSON", "not-json"),
            ('{"violationEventType": "in-alarm", "violationId": "x"', "not-json"),
            ('{"hello": "world"}', "unknown-message"),
        ],
        ids=["not JSON", "cut off", "no violation"],
    )
    def test_what_is_no_violation_is_refused_on_record(self, around: Around, message: str, code: str) -> None:
        before = len(around.records("refusal", code=code))

        around.publish(message)

        assert await_refusal(around, code, before)["reason"]

    def test_a_thing_that_does_not_exist_is_a_case_and_no_device_is_touched(self, around: Around) -> None:
        around.violate("bad:nobody", "bad-nobody")

        def opened() -> dict[str, Any] | None:
            cases = around.ask(command="cases", state="open")["cases"]
            return next((case for case in cases if case["subject"]["name"] == "bad:nobody"), None)

        case = until(opened, PATIENCE, what="a case about a stranger")
        assert case
        steps = until(
            lambda: [step for step in around.timeline(case["id"]) if step["kind"] == "decided"],
            PATIENCE,
            what="what is decided about a stranger",
        )
        assert "there is no device to act on" in steps[0]["why"]
        assert (case["thing"], case["actions"]) == ("", {})

    def test_the_longest_name_with_a_colon_is_contained_from_end_to_end(
        self, around: Around, stack: Stack, tmp_path: Path
    ) -> None:
        name = "plant-1:hall-2:" + "x" * 113
        assert len(name) == 128
        device = enrol(stack.aws, name, tmp_path / "device", logs={"system": b"all is well\n"})

        with AgentProcess(stack.aws, device) as agent:
            agent.await_event("telemetry-accepted", PATIENCE)
            around.violate(name, "bad-long-name")
            around.case_in(name, "contained")
            agent.await_event("telemetry-refused", PATIENCE)
            until(
                lambda: around.cases_of(name)[0]["actions"]["collect-logs"]["progress"] == "done",
                PATIENCE,
                what="its logs are collected",
            )

        assert around.policies_of(device.certificate_id) == [stack.outputs["RestrictedPolicyName"]]

    def test_twice_is_once(self, around: Around, stack: Stack, tmp_path: Path) -> None:
        device = enrol(stack.aws, "bad:twice", tmp_path / "device")

        for _ in range(2):
            around.violate("bad:twice", "bad-twice")
        around.case_in("bad:twice", "contained")
        around.violate("bad:twice", "bad-twice-marker", violationEventType="alarm-cleared")
        until(
            lambda: any("bad-twice-marker" in row["ended"] for row in around.records("problem")),
            PATIENCE,
            what="what was sent after it is on record",
        )

        assert len(around.cases_of("bad:twice")) == 1
        assert len(around.records("job", thing="bad:twice")) == 1
        assert around.policies_of(device.certificate_id) == [stack.outputs["RestrictedPolicyName"]]

    def test_an_alarm_that_comes_after_its_own_end_opens_nothing(
        self, around: Around, stack: Stack, tmp_path: Path
    ) -> None:
        device = enrol(stack.aws, "bad:late", tmp_path / "device")
        before = len(around.records("refusal", code="already-over"))

        around.violate("bad:late", "bad-late", violationEventType="alarm-cleared", violationEventTime=1795341660000)
        until(
            lambda: any("bad-late" in row["ended"] for row in around.records("problem")),
            PATIENCE,
            what="the end is on record",
        )
        around.violate("bad:late", "bad-late", violationEventTime=1795341600000)

        assert "bad-late" in await_refusal(around, "already-over", before)["reason"]
        assert around.cases_of("bad:late") == []
        assert around.policies_of(device.certificate_id) == [DEVICE_POLICY_NAME]

    def test_a_publisher_who_is_not_admitted_is_refused_whatever_he_may_do_elsewhere(
        self, around: Around, stack: Stack
    ) -> None:
        iam = stack.aws.session().client("iam")
        iam.create_user(UserName="mallory")
        statement = {"Effect": "Allow", "Action": "sns:Publish", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName="mallory", PolicyName="publish", PolicyDocument=document)
        key = iam.create_access_key(UserName="mallory")["AccessKey"]
        mallory = stack.aws.session(key["AccessKeyId"], key["SecretAccessKey"]).client("sns")
        elsewhere = stack.aws.session().client("sns").create_topic(Name="mallorys-own")["TopicArn"]

        mallory.publish(TopicArn=elsewhere, Message="he may")
        with pytest.raises(ClientError, match="AuthorizationError"):
            mallory.publish(TopicArn=around.outputs["AlertTopicArn"], Message="{}")


class TestDevices:
    @pytest.fixture
    def victim(self, stack: Stack, around: Around, tmp_path: Path, request: pytest.FixtureRequest) -> Device:
        """Enrol a device and have it contained, so that it has a case."""
        name = f"bad:{request.node.name[5:60].strip('_')}"
        device = enrol(stack.aws, name, tmp_path / "victim")
        around.violate(name, name)
        around.case_in(name, "contained")
        return device

    def released(self, around: Around, victim: Device) -> str:
        """Start a rotation of the victim, with its job begun; return the job."""
        case = around.case_in(victim.thing_name, "contained")
        around.ask(command="release", case=case["id"])
        return str(
            until(
                lambda: around.records("job", thing=victim.thing_name, action="rotate-certificate"),
                PATIENCE,
                what="the rotation's job",
            )[0]["job_id"]
        )

    def complaints(self, around: Around, victim: Device, code: str) -> list[dict[str, Any]]:
        [case] = around.cases_of(victim.thing_name)
        return [step for step in around.timeline(case["id"]) if step["facts"].get("code") == code]

    def test_another_devices_certificate_is_not_to_be_had(
        self, around: Around, stack: Stack, victim: Device, tmp_path: Path
    ) -> None:
        thief = enrol(stack.aws, "bad:thief", tmp_path / "thief")
        self.released(around, victim)
        ask = {"clientToken": "t-1", "csr": signing_request(new_key(KeyAlgorithm.EC_P256), victim.thing_name)}

        with around.impostor(thief) as impostor:
            verdict, answer = impostor.ask(f"warden/{victim.thing_name}/certificate/create", ask)

        assert (verdict, answer["code"], answer["clientToken"]) == ("rejected", "not-yours", "t-1")
        [step] = until(lambda: self.complaints(around, victim, "not-yours"), PATIENCE, what="it is on the case")
        assert thief.certificate_id[:12] in step["who"]
        assert list(around.certificates_of(victim.thing_name)) == [victim.certificate_id]

    def test_without_a_job_there_is_no_certificate(self, around: Around, victim: Device) -> None:
        ask = {"clientToken": "t-2", "csr": signing_request(new_key(KeyAlgorithm.EC_P256), victim.thing_name)}

        with around.impostor(victim) as impostor:
            verdict, answer = impostor.ask(f"warden/{victim.thing_name}/certificate/create", ask)

        assert (verdict, answer["code"]) == ("rejected", "no-job")
        assert until(lambda: self.complaints(around, victim, "no-job"), PATIENCE, what="it is on the case")

    def test_a_broken_signing_request_is_rejected_with_its_code(self, around: Around, victim: Device) -> None:
        job = self.released(around, victim)
        begin = f"$aws/things/{victim.thing_name}/jobs/{job}/update"

        with around.impostor(victim) as impostor:
            assert impostor.ask(begin, {"status": "IN_PROGRESS"})[0] == "accepted"
            for csr, code in (("-----BEGIN nonsense", "csr-unreadable"), ("", "csr-missing")):
                ask = {"clientToken": "t-3", "csr": csr}
                verdict, answer = impostor.ask(f"warden/{victim.thing_name}/certificate/create", ask)
                assert (verdict, answer["code"]) == ("rejected", code)

        for code in ("csr-unreadable", "csr-missing"):
            complaint = partial(self.complaints, around, victim, code)
            assert until(complaint, PATIENCE, what=f"{code} is on the case")
        assert list(around.certificates_of(victim.thing_name)) == [victim.certificate_id]
