"""`warden baseline narrow`: the proposal allows nothing new, and what devices lose by it is said beforehand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.baseline.access import ACCOUNT, IOT, REGION, AccessModel, RefusedError
from tests.baseline.account import Account
from tests.baseline.reading import ReadableAccount
from tests.cli.conftest import Looking, Said, Shell
from tests.conftest import ROOT
from tests.template.iot_policy import admits
from warden.core import quotas
from warden_cli.iot_policy import CLIENT, THING
from warden_cli.narrow_proof import unproven
from warden_cli.narrow_proposal import characters_of

STATEMENTS = json.loads((ROOT / "docs" / "baseline-narrow-policy.json").read_text())["Statement"]
ACTIONS = set(STATEMENTS[0]["Action"])
TO_TRY = {STATEMENTS[1]["Action"], *STATEMENTS[2]["Action"]}
OWN = f"$aws/things/{THING}/*"
WARDEN = f"warden/{THING}/*"
ATTACHED = {"Bool": {"iot:Connection.Thing.IsAttached": "true"}}
DEVICE_POLICY = json.loads(
    (ROOT / "device" / "device-policy.json")
    .read_text()
    .replace("${AWS::Region}", REGION)
    .replace("${AWS::AccountId}", ACCOUNT)
)

pytestmark = pytest.mark.usefixtures("waited")


def allow(action: str | list[str], *resources: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": [f"{IOT}{each}" for each in resources], **more}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [*statements]}


EVERYTHING = policy({"Effect": "Allow", "Action": "iot:*", "Resource": "*"})
EVERY_TOPIC = policy(
    allow("iot:Connect", "client/*"),
    allow(["iot:Publish", "iot:Receive"], "topic/*"),
    allow("iot:Subscribe", "topicfilter/*"),
)


@pytest.fixture
def here(looking: Looking) -> ReadableAccount:
    """An account with two devices of the policy `fleet`, which a test gives its document."""
    readable = looking(Account())
    readable.access.policy("fleet", EVERY_TOPIC)
    for number in (1, 2):
        readable.access.device(f"pump-{number}", policies=("fleet",))
    return readable


def ask(shell: Shell, *options: str, name: str = "fleet") -> Said:
    return shell.warden("baseline", "narrow", name, "--region", REGION, *options)


def narrowed(
    shell: Shell, access: AccessModel, document: dict[str, Any], *options: str, code: int = 0
) -> dict[str, Any]:
    """Narrow a document; whatever comes of it allows nothing new, by another evaluator than the command's."""
    access.policy("fleet", document)
    said = ask(shell, "--json", *options)
    assert said.code == code, said
    answer: dict[str, Any] = said.json
    assert unproven(document, answer["document"]) == []
    return answer


def granted(answer: dict[str, Any]) -> dict[str, list[str]]:
    """Return what each action is allowed on, without the account's part of the ARN."""
    found: dict[str, list[str]] = {}
    for statement in answer["document"]["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        for action in actions if statement["Effect"] == "Allow" else []:
            found.setdefault(action, []).extend(each.removeprefix(IOT) for each in resources)
    return found


def verdicts(answer: dict[str, Any]) -> dict[tuple[str, str], str]:
    return {(each["action"], each["resource"]): each["verdict"] for each in answer["changes"]}


def lost_by(answer: dict[str, Any], thing: str) -> set[tuple[str, str]]:
    [device] = [each for each in answer["devices"] if each["thing"] == thing]
    assert device["gained"] == []
    return {(each["action"], each["resource"].removeprefix(IOT)) for each in device["lost"]}


class TestAnOverlyPermissivePolicy:
    def test_it_is_cut_down_to_the_device_s_own(self, shell: Shell, here: ReadableAccount) -> None:
        answer = narrowed(shell, here.access, EVERY_TOPIC, "--topic", "telemetry/{thing}/#")

        topics = [f"telemetry/{THING}", f"telemetry/{THING}/*"]
        assert granted(answer) == {
            "iot:Connect": [f"client/{THING}"],
            "iot:Publish": [f"topic/{each}" for each in (OWN, WARDEN, *topics)],
            "iot:Receive": [f"topic/{each}" for each in (OWN, WARDEN, *topics)],
            "iot:Subscribe": [f"topicfilter/{each}" for each in (OWN, WARDEN, *topics)],
        }
        [connect] = [each for each in answer["document"]["Statement"] if each["Action"] == "iot:Connect"]
        assert connect["Condition"] == ATTACHED
        assert answer["narrower"] is True
        assert answer["refusals"] == answer["doubts"] == []

    def test_each_device_s_losses_are_said(self, shell: Shell, here: ReadableAccount) -> None:
        answer = narrowed(shell, here.access, EVERY_TOPIC, "--topic", "telemetry/{thing}/#")

        lost = lost_by(answer, "pump-1")
        assert ("iot:Connect", "client/pump-2") in lost
        assert ("iot:Publish", "topic/telemetry/pump-2") in lost
        assert ("iot:Subscribe", "topicfilter/$aws/things/pump-2/shadow/update") in lost
        assert ("iot:Publish", "topic/$aws/rules/any/telemetry") in lost
        kept = {
            ("iot:Connect", "client/pump-1"),
            ("iot:Publish", "topic/telemetry/pump-1"),
            ("iot:Publish", "topic/$aws/things/pump-1/shadow/update"),
            ("iot:Publish", "topic/warden/pump-1/certificate/create"),
            ("iot:Subscribe", "topicfilter/$aws/things/pump-1/jobs/notify-next"),
        }
        assert not lost & kept
        assert lost_by(answer, "pump-2") != lost

    def test_the_losses_are_those_of_another_evaluator(self, shell: Shell, here: ReadableAccount) -> None:
        answer = narrowed(shell, here.access, EVERY_TOPIC, "--topic", "telemetry/{thing}/#")

        lost = lost_by(answer, "pump-1") - {("iot:Connect", "client/any"), ("iot:Connect", "client/pump-2")}
        for action, resource in lost:
            assert admits([EVERY_TOPIC], action, f"{IOT}{resource}", "pump-1")
            assert not admits([answer["document"]], action, f"{IOT}{resource}", "pump-1")

    def test_every_action_of_a_wildcard_is_written_out_and_the_rest_is_said_to_go(
        self, shell: Shell, here: ReadableAccount
    ) -> None:
        answer = narrowed(shell, here.access, EVERYTHING, "--topic", "telemetry/{thing}")

        assert granted(answer)["iot:UpdateThingShadow"] == [f"thing/{THING}"]
        assert "iot:AssumeRoleWithCertificate" not in granted(answer)
        found = verdicts(answer)
        assert found["iot:AssumeRoleWithCertificate", "*"] == "goes"
        assert found["iot:*", ""] == "goes"
        assert ("iot:AssumeRoleWithCertificate", "rolealias/any") in lost_by(answer, "pump-1")
        text = ask(shell, "--topic", "telemetry/{thing}").text
        assert "goes AssumeRoleWithCertificate, DeleteConnection, GetRetainedMessage, ListRetainedMessages on *" in text
        assert "greengrass:Discover" in text

    def test_what_is_to_stay_of_a_wildcard_is_kept(self, shell: Shell, here: ReadableAccount) -> None:
        answer = narrowed(
            shell, here.access, EVERYTHING, "--topic", "t/{thing}", "--keep", "rolealias/fleet", "--keep", "thing/*"
        )

        assert granted(answer)["iot:AssumeRoleWithCertificate"] == ["rolealias/fleet"]
        assert granted(answer)["iot:GetThingShadow"] == ["thing/*"]

    def test_without_knowing_the_topics_a_wildcard_is_kept_and_said(self, shell: Shell, here: ReadableAccount) -> None:
        answer = narrowed(shell, here.access, EVERY_TOPIC, code=5)

        assert granted(answer)["iot:Publish"] == ["topic/*"]
        assert verdicts(answer)["iot:Publish", "topic/*"] == "kept"
        assert any("--topic 'telemetry/{thing}/#'" in each for each in answer["doubts"])
        assert not {each for each in lost_by(answer, "pump-1") if each[0] != "iot:Connect"}

    def test_the_text_ends_by_how_to_take_it_and_to_go_back(
        self, shell: Shell, here: ReadableAccount, tmp_path: Path
    ) -> None:
        file = tmp_path / "fleet.json"
        here.access.policy("fleet", EVERY_TOPIC, versions=3)

        lines = ask(shell, "--topic", "telemetry/{thing}/#", "--write", str(file)).out.splitlines()

        new = "aws iot create-policy-version --policy-name fleet --set-as-default --policy-document"
        assert f"{new} file://{file}" in lines
        assert lines[-1] == "aws iot set-default-policy-version --policy-name fleet --policy-version-id 3"
        assert not [line for line in lines if "delete-policy-version" in line]
        written = json.loads(file.read_text())
        assert written["Statement"][0]["Resource"] == f"{IOT}client/{THING}"

    def test_where_five_versions_are_there_one_has_to_go_first(self, shell: Shell, here: ReadableAccount) -> None:
        here.access.policy("fleet", EVERY_TOPIC, versions=5)

        answer = ask(shell, "--json", "--topic", "telemetry/{thing}").json

        assert answer["take"][0] == "aws iot delete-policy-version --policy-name fleet --policy-version-id 1"
        assert answer["other_versions"] == ["1", "2", "3", "4"]
        assert answer["back"].endswith("--policy-version-id 5")

    def test_versions_are_ordered_by_number(self, shell: Shell, here: ReadableAccount) -> None:
        here.access.policy("fleet", EVERY_TOPIC)
        here.access.policies["fleet"].versions = {str(number): EVERY_TOPIC for number in (8, 9, 10, 11, 12)}
        here.access.policies["fleet"].default = "10"

        assert ask(shell, "--json").json["other_versions"] == ["8", "9", "11", "12"]

    @pytest.mark.parametrize("width", [60, 80, 120])
    def test_it_fits_the_terminal_and_a_command_is_one_line(
        self, width: int, shell: Shell, here: ReadableAccount, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", str(width))
        here.access.policy("fleet", EVERYTHING)

        lines = ask(shell, "--topic", "telemetry/{thing}/#").out.splitlines()

        commands = [line for line in lines if line.startswith("aws iot ")]
        assert [line.split()[2] for line in commands] == ["create-policy-version", "set-default-policy-version"]
        assert commands[0].endswith(" --policy-document file://FILE")
        assert max(len(line) for line in lines if line not in commands) <= width

    def test_nothing_is_written_to_aws(self, shell: Shell, here: ReadableAccount) -> None:
        ask(shell, "--topic", "telemetry/{thing}")

        assert all(action.partition(":")[2].startswith(("Get", "List")) for action in here.called)
        assert "nothing was written there" in ask(shell).text


class TestEachRight:
    """One right of a policy, what becomes of it, and to what."""

    @pytest.mark.parametrize(
        ("action", "resource", "verdict", "becomes"),
        [
            ("iot:Connect", "client/*", "narrowed", [f"client/{THING}"]),
            ("iot:Connect", f"client/{CLIENT}", "narrowed", [f"client/{THING}"]),
            ("iot:Connect", "client/pump-*", "narrowed", ["client/pump-*"]),
            ("iot:Connect", "client/pump-1", "stays", ["client/pump-1"]),
            ("iot:Connect", f"client/{THING}", "stays", [f"client/{THING}"]),
            ("iot:Publish", "topic/telemetry/all", "stays", ["topic/telemetry/all"]),
            ("iot:Publish", f"topic/telemetry/{THING}/*", "stays", [f"topic/telemetry/{THING}/*"]),
            ("iot:Publish", f"topic/telemetry/{CLIENT}", "stays", [f"topic/telemetry/{CLIENT}"]),
            ("iot:Publish", f"topic/telemetry/{THING}*", "kept", [f"topic/telemetry/{THING}*"]),
            ("iot:Publish", f"topic/*/{THING}", "kept", [f"topic/*/{THING}"]),
            ("iot:Publish", "topic/plant/*", "kept", ["topic/plant/*"]),
            ("iot:Publish", "topic/plan?", "kept", ["topic/plan?"]),
            ("iot:Publish", "topic/a/+/b", "stays", ["topic/a/+/b"]),
            ("iot:Publish", "topic/$aws/things/*", "narrowed", [f"topic/{OWN}"]),
            ("iot:Publish", "topic/$aws/*", "narrowed", [f"topic/{OWN}"]),
            ("iot:Publish", "topic/$aws/rules/*", "kept", ["topic/$aws/rules/*"]),
            ("iot:Publish", "topic/warden/*", "narrowed", [f"topic/{WARDEN}"]),
            (
                "iot:Publish",
                "topic/$aws/things/*/shadow/update",
                "narrowed",
                [f"topic/$aws/things/{THING}/shadow/update"],
            ),
            (
                "iot:Subscribe",
                "topicfilter/$aws/things/*/jobs/*",
                "narrowed",
                [f"topicfilter/$aws/things/{THING}/jobs/*"],
            ),
            ("iot:Subscribe", "topicfilter/$aws/things/+/shadow/#", "kept", ["topicfilter/$aws/things/+/shadow/#"]),
            ("iot:Subscribe", "topicfilter/#", "kept", ["topicfilter/#"]),
            ("iot:Subscribe", f"topicfilter/commands/{THING}/#", "stays", [f"topicfilter/commands/{THING}/#"]),
            ("iot:Receive", "topic/plant/${iot:Connection.Thing.Attributes[site]}/*", "stays", None),
            ("iot:GetThingShadow", "thing/*", "narrowed", [f"thing/{THING}"]),
            ("iot:UpdateThingShadow", "thing/pump-*", "kept", ["thing/pump-*"]),
            ("iot:UpdateJobExecution", "thing/pump-1", "stays", ["thing/pump-1"]),
            ("iot:AssumeRoleWithCertificate", "rolealias/fleet", "stays", ["rolealias/fleet"]),
            ("iot:AssumeRoleWithCertificate", "rolealias/*", "kept", ["rolealias/*"]),
            ("greengrass:Discover", "thing/*", "kept", ["thing/*"]),
            ("iot:SomethingNew", "topic/x", "stays", ["topic/x"]),
            ("greengrass:*", "thing/x", "stays", ["thing/x"]),
        ],
    )
    def test_it_is_narrowed_as_far_as_nothing_new_is_allowed(
        self,
        action: str,
        resource: str,
        verdict: str,
        becomes: list[str] | None,
        shell: Shell,
        here: ReadableAccount,
    ) -> None:
        code = 5 if verdict == "kept" else 0

        answer = narrowed(shell, here.access, policy(allow(action, resource)), code=code)

        assert verdicts(answer) == {(action, resource): verdict}
        assert granted(answer) == {action: becomes or [resource]}

    @pytest.mark.parametrize(
        ("resource", "condition"), [("client/*", True), ("client/pump-*", True), ("client/x", False)]
    )
    def test_who_connects_has_to_be_attached(
        self, resource: str, condition: bool, shell: Shell, here: ReadableAccount
    ) -> None:
        statement = allow("iot:Connect", resource, Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})

        answer = narrowed(shell, here.access, policy(statement))

        [found] = answer["document"]["Statement"]
        assert found["Condition"] == {**statement["Condition"], **(ATTACHED if condition else {})}

    def test_a_condition_stays_with_its_topics(self, shell: Shell, here: ReadableAccount) -> None:
        condition = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
        document = policy(
            allow("iot:Publish", "topic/$aws/things/*", Condition=condition), allow("iot:Publish", "topic/warden/*")
        )

        first, second = narrowed(shell, here.access, document)["document"]["Statement"]

        assert (first["Resource"], first["Condition"]) == (f"{IOT}topic/{OWN}", condition)
        assert (second["Resource"], "Condition" in second) == (f"{IOT}topic/{WARDEN}", False)

    def test_what_never_goes_together_is_left_out(self, shell: Shell, here: ReadableAccount) -> None:
        document = policy(allow(["iot:Connect", "iot:Publish"], "client/pump-1", "topic/a"))

        assert granted(narrowed(shell, here.access, document)) == {
            "iot:Connect": ["client/pump-1"],
            "iot:Publish": ["topic/a"],
        }

    def test_a_wildcard_in_the_account_s_part_is_one(self, shell: Shell, here: ReadableAccount) -> None:
        resources = ["arn:aws:iot:*:*:topic/$aws/*", "arn:aws:iot:*"]
        document = policy({"Effect": "Allow", "Action": "iot:Publish", "Resource": resources})

        answer = narrowed(shell, here.access, document, "--topic", "t/{thing}")

        assert granted(answer)["iot:Publish"] == [f"topic/{each}" for each in (OWN, WARDEN, f"t/{THING}")]

    def test_a_lone_statement_without_lists_is_read(self, shell: Shell, here: ReadableAccount) -> None:
        statement = {"Effect": "Allow", "Action": "iot:publish", "Resource": f"{IOT}topic/warden/*"}

        assert granted(narrowed(shell, here.access, {"Version": "2012-10-17", "Statement": statement})) == {
            "iot:Publish": [f"topic/{WARDEN}"]
        }


class TestProvisioning:
    CLAIM: ClassVar = policy(
        allow("iot:Connect", "client/*"),
        allow(
            ["iot:Publish", "iot:Receive"], "topic/$aws/certificates/create/json", "topic/$aws/certificates/create/*"
        ),
    )

    def test_devices_that_are_not_things_yet_are_reported(self, shell: Shell, here: ReadableAccount) -> None:
        answer = narrowed(shell, here.access, self.CLAIM, code=5)

        assert any("--keep 'client/*'" in each for each in answer["doubts"])

    def test_they_connect_as_before_where_that_is_kept(self, shell: Shell, here: ReadableAccount) -> None:
        answer = narrowed(shell, here.access, self.CLAIM, "--keep", "client/*", code=5)

        assert not any("--keep 'client/*'" in each for each in answer["doubts"])
        assert granted(answer)["iot:Connect"] == ["client/*", f"client/{THING}"]
        assert not {each for each in lost_by(answer, "pump-1") if each[0] == "iot:Connect"}


class TestTopics:
    def test_an_owner_s_topic_narrows_the_wildcard_that_it_lies_in(self, shell: Shell, here: ReadableAccount) -> None:
        document = policy(allow("iot:Publish", "topic/telemetry/*", "topic/plant/*"))

        answer = narrowed(shell, here.access, document, "--topic", "telemetry/{thing}/+/state", code=5)

        assert granted(answer)["iot:Publish"] == [f"topic/telemetry/{THING}/*/state", "topic/plant/*"]
        assert verdicts(answer)["iot:Publish", "topic/plant/*"] == "kept"

    def test_a_topic_that_is_not_allowed_today_is_not_added(self, shell: Shell, here: ReadableAccount) -> None:
        document = policy(allow("iot:Publish", "topic/telemetry/*"))

        answer = narrowed(
            shell, here.access, document, "--topic", "telemetry/{thing}", "--topic", "new/{thing}", code=5
        )

        assert granted(answer)["iot:Publish"] == [f"topic/telemetry/{THING}"]
        assert "new/{thing} is not allowed today, and a narrower policy adds nothing" in answer["doubts"]

    def test_topics_may_be_of_one_direction(self, shell: Shell, here: ReadableAccount) -> None:
        answer = narrowed(
            shell, here.access, EVERY_TOPIC, "--publish", "telemetry/{thing}", "--subscribe", "commands/{thing}/#"
        )

        found = granted(answer)
        assert f"topic/telemetry/{THING}" in found["iot:Publish"]
        assert f"topic/commands/{THING}/*" not in found["iot:Publish"]
        assert f"topicfilter/commands/{THING}/*" in found["iot:Subscribe"]
        assert f"topic/commands/{THING}/*" in found["iot:Receive"]
        assert f"topic/telemetry/{THING}" not in found["iot:Receive"]

    def test_what_the_policy_itself_names_are_the_topics(self, shell: Shell, here: ReadableAccount) -> None:
        document = policy(
            allow("iot:Publish", f"topic/telemetry/{CLIENT}/*"),
            allow("iot:Subscribe", f"topicfilter/commands/{THING}/+"),
            allow(["iot:Publish", "iot:Receive"], "topic/*"),
        )

        found = granted(narrowed(shell, here.access, document))

        assert f"topic/telemetry/{CLIENT}/*" in found["iot:Publish"]
        assert f"topic/telemetry/{THING}" in found["iot:Publish"]
        assert f"topic/commands/{THING}/*" in found["iot:Receive"]
        assert not [each for each in found["iot:Publish"] if "commands" in each]

    def test_every_topic_may_be_said(self, shell: Shell, here: ReadableAccount) -> None:
        answer = narrowed(shell, here.access, EVERY_TOPIC, "--topic", "#", code=5)

        assert granted(answer)["iot:Publish"] == ["topic/*"]

    @pytest.mark.parametrize("topic", ["", "a/*", "a/?", "a+/b", "#/a", "a/{other}", "a/b#"])
    def test_a_topic_that_is_none_is_refused(self, topic: str, shell: Shell, here: ReadableAccount) -> None:
        said = ask(shell, "--topic", topic)

        assert said.code == 2
        assert "MQTT topic" in said.err
        assert here.called == []

    @pytest.mark.parametrize("resource", ["plant", f"{IOT}topic/a"])
    def test_what_is_to_be_kept_is_named_without_its_arn(
        self, resource: str, shell: Shell, here: ReadableAccount
    ) -> None:
        said = ask(shell, "--keep", resource)

        assert said.code == 2
        assert "without its ARN" in said.err
        assert here.called == []

    def test_what_is_to_be_kept_and_is_not_allowed_is_said(self, shell: Shell, here: ReadableAccount) -> None:
        answer = narrowed(shell, here.access, EVERY_TOPIC, "--topic", "t/{thing}", "--keep", "rolealias/a", code=5)

        assert any(each.startswith("rolealias/a is not allowed today") for each in answer["doubts"])


class TestDenials:
    DENY: ClassVar = {"Effect": "Deny", "Action": "iot:Publish", "Resource": f"{IOT}topic/telemetry/secret"}

    def test_they_stay_word_for_word(self, shell: Shell, here: ReadableAccount) -> None:
        document = policy(*EVERY_TOPIC["Statement"], self.DENY)

        answer = narrowed(shell, here.access, document, "--topic", "telemetry/{thing}")

        assert self.DENY in answer["document"]["Statement"]

    def test_what_was_denied_is_no_loss(self, shell: Shell, here: ReadableAccount) -> None:
        document = policy(*EVERY_TOPIC["Statement"], self.DENY)

        answer = narrowed(shell, here.access, document, "--topic", "telemetry/{thing}")

        assert ("iot:Publish", "topic/telemetry/secret") not in lost_by(answer, "pump-1")

    def test_one_with_wildcards_of_mqtt_is_said_to_be_none(self, shell: Shell, here: ReadableAccount) -> None:
        deny = {"Effect": "Deny", "Action": "iot:Subscribe", "Resource": [f"{IOT}topicfilter/control/#"]}

        answer = narrowed(shell, here.access, policy(*EVERY_TOPIC["Statement"], deny), "--topic", "t/{thing}", code=5)

        assert any("topicfilter/control/#" in each and "plain characters" in each for each in answer["doubts"])


class TestTheSample:
    def test_the_devices_of_groups_are_reached_too(self, shell: Shell, here: ReadableAccount) -> None:
        here.access.device("valve-1")
        here.access.device("valve-2")
        here.access.group("valves", "valve-1", "valve-2", policies=("fleet",))

        answer = ask(shell, "--json", "--topic", "t/{thing}").json

        assert [each["thing"] for each in answer["devices"]] == ["pump-1", "pump-2", "valve-1", "valve-2"]
        assert answer["compared"] == {"devices": 4, "all": True, "targets": 3, "not_known": ""}

    @pytest.mark.parametrize(
        ("action", "name", "left"),
        [
            ("iot:GetEffectivePolicies", "pump-2", ["pump-1", "valve-1", "valve-2"]),
            ("iot:ListPrincipalThings", "1", ["pump-1", "valve-1", "valve-2"]),
            ("iot:ListThingsInThingGroup", "valves", ["pump-1", "pump-2"]),
            ("iot:ListThingPrincipals", "valve-1", ["pump-1", "pump-2", "valve-2"]),
        ],
    )
    def test_what_was_deleted_since_it_was_listed_is_left_out(
        self, action: str, name: str, left: list[str], shell: Shell, here: ReadableAccount
    ) -> None:
        for thing in ("valve-1", "valve-2"):
            here.access.device(thing)
        here.access.group("valves", "valve-1", "valve-2", policies=("fleet",))

        def deleted(asked_for: str, asked: Mapping[str, Any]) -> None:
            if asked_for == action and any(str(each).endswith(name) for each in asked.values()):
                raise RefusedError("ResourceNotFoundException", 404)

        here.before = deleted

        answer = ask(shell, "--json").json

        assert [each["thing"] for each in answer["devices"]] == left
        assert answer["compared"]["not_known"] == ""

    def test_a_policy_that_is_deleted_while_it_is_read_is_not_there(self, shell: Shell, here: ReadableAccount) -> None:
        def deleted(action: str, _: object) -> None:
            if action == "iot:ListPolicyVersions":
                raise RefusedError("ResourceNotFoundException", 404)

        here.before = deleted

        said = ask(shell)

        assert (said.code, "there is no policy fleet" in said.err) == (1, True)

    def test_one_that_is_reached_twice_is_compared_once(self, shell: Shell, here: ReadableAccount) -> None:
        here.access.group("pumps", "pump-1", policies=("fleet",))

        assert len(ask(shell, "--json").json["devices"]) == 2

    def test_what_another_policy_allows_is_no_loss(self, shell: Shell, here: ReadableAccount) -> None:
        here.access.policy("more", policy(allow("iot:Publish", "topic/plant/all")))
        here.access.policy("fleet", policy(*EVERY_TOPIC["Statement"], allow("iot:Publish", "topic/plant/*")))
        here.access.device("pump-3", policies=("fleet", "more"))

        answer = ask(shell, "--json", "--topic", "plant/{thing}", "--keep", "topic/plant/all").json

        assert answer["devices"][2]["policies"] == ["fleet", "more"]
        assert ("iot:Publish", "topic/plant/any") in lost_by(answer, "pump-3")

    def test_a_sample_is_taken_of_many(self, shell: Shell, here: ReadableAccount) -> None:
        for number in range(3, 40):
            here.access.device(f"pump-{number}", policies=("fleet",))

        assert ask(shell, "--json").json["compared"]["devices"] == 25
        assert ask(shell, "--json").json["compared"]["all"] is False
        assert ask(shell, "--json", "--all").json["compared"]["devices"] == 39
        assert "the first 25 devices" in ask(shell).text

    def test_it_leaves_the_quota_to_the_devices(self, shell: Shell, here: ReadableAccount, waited: list[float]) -> None:
        ask(shell)

        assert here.called.count("iot:ListPrincipalThings") == 2
        assert len(waited) >= 3

    def test_a_certificate_without_a_thing_loses_what_is_bound_to_one_and_it_is_said(
        self, shell: Shell, here: ReadableAccount
    ) -> None:
        here.access.device(policies=("fleet",))

        said = ask(shell, "--json", "--topic", "telemetry/{thing}")

        assert said.code == 5
        assert any("have no thing" in each for each in said.json["doubts"])
        assert ("iot:Connect", "client/any-client") in lost_by(said.json, "")

    def test_identities_of_cognito_are_said(self, shell: Shell, here: ReadableAccount) -> None:
        here.access.attached["eu-central-1:11111111-2222"] = ["fleet"]

        said = ask(shell, "--json", "--topic", "t/{thing}")

        assert said.code == 5
        assert "1 targets are identities of Cognito, which are not compared" in said.json["doubts"]

    def test_a_policy_that_reaches_nobody_is_said_to(self, shell: Shell, here: ReadableAccount) -> None:
        here.access.policy("lonely", EVERY_TOPIC)

        said = ask(shell, "--topic", "t/{thing}", name="lonely")

        assert said.code == 5
        assert "attached to nothing" in said.text


class TestWhatCannotBe:
    def test_a_proposal_that_is_too_long_is_refused_and_not_written(
        self, shell: Shell, here: ReadableAccount, tmp_path: Path
    ) -> None:
        assert here.access.policies
        topics = [option for number in range(30) for option in ("--topic", f"plant/line-{number:04}/{{thing}}/state")]
        file = tmp_path / "p.json"

        said = ask(shell, *topics, "--write", str(file))

        assert said.code == 1
        assert f"AWS IoT takes {quotas.POLICY_CHARACTERS}" in said.text
        assert "create-policy-version" not in said.text
        assert not file.exists()

    def test_white_space_does_not_count(self) -> None:
        assert characters_of({"a": ["b c"]}) == len('{"a":["bc"]}')

    def test_the_device_policy_of_the_service_is_narrow_as_it_is(self, shell: Shell, here: ReadableAccount) -> None:
        here.access.policy("fleet", DEVICE_POLICY)

        said = ask(shell)

        assert said.code == 0
        assert "There is nothing to narrow." in said.text
        assert "create-policy-version" not in said.text

    @pytest.mark.parametrize(
        "statement",
        [
            {"Effect": "Allow", "NotAction": "iot:Connect", "Resource": "*"},
            {"Effect": "Allow", "Action": "iot:Connect", "NotResource": f"{IOT}client/x"},
            {"Effect": "Allow", "Action": "iot:Connect"},
            {"Effect": "Allow", "Action": "iot:Connect", "Resource": "*", "NotResource": f"{IOT}client/x"},
        ],
    )
    def test_what_aws_iot_does_not_know_is_not_judged(
        self, statement: dict[str, Any], shell: Shell, here: ReadableAccount
    ) -> None:
        here.access.policy("fleet", policy(statement))

        said = ask(shell)

        assert said.code == 1
        assert "nothing is judged" in said.err

    @pytest.mark.parametrize(
        "text", ["", "[]", '{"Statement": 7}', "{}", '{"Statement": {"Effect": "Allow", "Action": 1, "Resource": []}}']
    )
    def test_a_document_that_is_none_is_said(self, text: str, shell: Shell, here: ReadableAccount) -> None:
        here.access.policy("fleet", text)

        said = ask(shell)

        assert said.code == 1
        assert "is not a policy" in said.err

    def test_a_policy_that_is_not_there_is_said(self, shell: Shell, here: ReadableAccount) -> None:
        said = ask(shell, name="gone")

        assert said.code == 1
        assert "there is no policy gone in eu-central-1" in said.err
        assert here.called[-1] == "iot:GetPolicy"

    def test_a_name_that_is_none_is_refused(self, shell: Shell, here: ReadableAccount) -> None:
        assert ask(shell, name="a/b").code == 2
        assert here.called == []

    def test_a_file_that_cannot_be_written_is_said(self, shell: Shell, here: ReadableAccount, tmp_path: Path) -> None:
        assert here.access.policies
        said = ask(shell, "--topic", "t/{thing}", "--write", str(tmp_path))

        assert said.code == 2
        assert "cannot write" in said.err

    @pytest.mark.parametrize("action", sorted(ACTIONS - {"sts:GetCallerIdentity"}))
    def test_a_denied_call_is_not_known(self, action: str, shell: Shell, here: ReadableAccount) -> None:
        here.access.device("valve-1")
        here.access.group("valves", "valve-1", policies=("fleet",))
        here.denied = {action}

        for options in ((), ("--json",)):
            said = ask(shell, "--topic", "t/{thing}", *options)

            assert said.code == 5
            assert said.err == ""
            assert f"the role lacks {action}" in said.text


class TestTheProof:
    ALLOW: ClassVar = policy(allow("iot:Publish", "topic/a/*", Condition=ATTACHED), allow("iot:*", "topic/b"))

    @pytest.mark.parametrize(
        "statement",
        [
            allow("iot:Publish", "topic/a/b"),
            allow("iot:Publish", "topic/*", Condition=ATTACHED),
            allow("iot:Receive", "topic/a/b", Condition=ATTACHED),
            allow("iot:Publish", "topic/a/b", Condition={"Bool": {"iot:Connection.Thing.IsAttached": "false"}}),
            allow("*", "topic/b"),
        ],
    )
    def test_what_is_not_within_one_statement_is_not_proven(self, statement: dict[str, Any]) -> None:
        assert unproven(self.ALLOW, policy(statement)) != []

    def test_what_is_within_one_is(self) -> None:
        within = allow("iot:Publish", "topic/a/b/*", Condition={**ATTACHED, "IpAddress": {"aws:SourceIp": "10.0.0.1"}})

        assert unproven(self.ALLOW, policy(within, allow("iot:receive", "topic/b"))) == []

    def test_a_denial_that_is_gone_is_not(self) -> None:
        deny = {"Effect": "Deny", "Action": "iot:Publish", "Resource": "*"}

        assert unproven(policy(deny), policy(deny)) == []
        assert unproven(policy(deny), policy()) == ["the denial of iot:Publish"]

    def test_a_proposal_that_is_not_proven_is_refused(
        self, shell: Shell, here: ReadableAccount, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert here.access.policies
        monkeypatch.setattr("warden_cli.narrow_proposal.OWN_TOPICS", ("$aws/*",))
        here.access.policy("fleet", policy(allow("iot:Publish", "topic/$aws/things/*")))
        monkeypatch.setattr("warden_cli.narrow_proposal.covers", lambda _wide, _narrow: True)

        said = ask(shell)

        assert said.code == 1
        assert "cannot be shown that the proposal allows nothing new" in said.err


class TestTryInAccount:
    OPTIONS = ("--topic", "telemetry/{thing}/#", "--try-in-account")

    def test_the_policy_is_made_asked_about_and_deleted(self, shell: Shell, here: ReadableAccount) -> None:
        said = ask(shell, *self.OPTIONS)

        assert said.code == 0, said
        assert here.access.made[0].startswith("warden-narrow-")
        assert [*here.access.policies] == ["fleet"]
        assert here.access.asked_to_judge > 4
        assert "about 2 devices to AWS IoT itself" in said.text
        assert "deleted again" in said.text
        assert here.called.index("iot:CreatePolicy") < here.called.index("iot:TestAuthorization")
        assert here.called[-1] == "iot:DeletePolicy"

    def test_it_is_deleted_when_the_test_fails_in_between(self, shell: Shell, here: ReadableAccount) -> None:
        here.denied = {"iot:TestAuthorization"}

        said = ask(shell, *self.OPTIONS)

        assert said.code == 1
        assert "the role lacks iot:TestAuthorization" in said.err
        assert [*here.access.policies] == ["fleet"]

    def test_it_is_deleted_when_somebody_interrupts(
        self, shell: Shell, here: ReadableAccount, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(*_: object) -> bool:
            raise KeyboardInterrupt

        monkeypatch.setattr("tests.baseline.access.admits", interrupted)

        assert ask(shell, *self.OPTIONS).code == 130
        assert here.access.made
        assert [*here.access.policies] == ["fleet"]

    def test_one_that_cannot_be_deleted_is_said_with_the_command(self, shell: Shell, here: ReadableAccount) -> None:
        here.denied = {"iot:DeletePolicy"}

        said = ask(shell, *self.OPTIONS)

        assert said.code == 1
        assert f"aws iot delete-policy --policy-name {here.access.made[0]}" in said.err

    def test_one_that_an_earlier_trial_left_is_used_and_deleted(self, shell: Shell, here: ReadableAccount) -> None:
        here.denied = {"iot:DeletePolicy"}
        ask(shell, *self.OPTIONS)
        here.denied = set()

        assert ask(shell, *self.OPTIONS).code == 0
        assert len(here.access.made) == 1
        assert [*here.access.policies] == ["fleet"]

    def test_where_aws_does_not_heed_the_names_nothing_is_concluded(self, shell: Shell, here: ReadableAccount) -> None:
        here.access.takes_names = False

        said = ask(shell, *self.OPTIONS)

        assert said.code == 1
        assert "the proposal cannot be tried" in said.err
        assert [*here.access.policies] == ["fleet"]

    def test_another_judgement_of_aws_refuses_it(
        self, shell: Shell, here: ReadableAccount, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert here.access.policies
        monkeypatch.setattr("tests.baseline.access.admits", lambda documents, *_: bool(documents))

        said = ask(shell, *self.OPTIONS, "--json")

        assert said.code == 1
        assert said.json["trial"]["disagreements"]
        assert any("judges otherwise" in each for each in said.json["refusals"])
        assert said.json["file"] == ""

    def test_what_is_not_to_be_taken_is_not_tried(self, shell: Shell, here: ReadableAccount) -> None:
        here.access.policy("fleet", DEVICE_POLICY)

        assert ask(shell, "--try-in-account").code == 0
        assert here.access.made == []

    def test_where_there_is_nobody_to_ask_about_nothing_is_made(self, shell: Shell, here: ReadableAccount) -> None:
        here.access.policy("lonely", EVERY_TOPIC)

        assert ask(shell, *self.OPTIONS, name="lonely").code == 5
        assert here.access.made == []

    def test_few_devices_are_asked_about(self, shell: Shell, here: ReadableAccount) -> None:
        for number in range(3, 12):
            here.access.device(f"pump-{number}", policies=("fleet",))

        assert ask(shell, *self.OPTIONS, "--json").json["trial"]["devices"] == 5


def test_the_policy_allows_what_the_command_calls_and_nothing_more(shell: Shell, here: ReadableAccount) -> None:
    here.access.device("valve-1")
    here.access.group("valves", "valve-1", policies=("fleet",))

    assert ask(shell, "--topic", "t/{thing}").code == 0
    assert set(here.called) == ACTIONS
    assert ask(shell, "--topic", "t/{thing}", "--try-in-account").code == 0
    assert set(here.called) == ACTIONS | TO_TRY


def test_what_it_may_make_and_delete_is_its_own(shell: Shell, here: ReadableAccount) -> None:
    ask(shell, "--topic", "t/{thing}", "--try-in-account")

    assert STATEMENTS[2]["Resource"] == "arn:*:iot:*:*:policy/warden-narrow-*"
    assert all(each.startswith("warden-narrow-") for each in here.access.made)


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_without_trying_the_policy_only_reads(action: str) -> None:
    assert action.partition(":")[2].startswith(("Get", "List"))
