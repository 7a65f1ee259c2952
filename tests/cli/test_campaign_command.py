"""The command about campaigns, read as its user reads it."""

from functools import cache
from typing import Any

import pytest

from tests.cli.answering import Answer, Operate
from tests.cli.conftest import Shell
from tests.cli.samples import ALICE
from tests.unit.campaigns.test_campaigns import TURN, a_campaign
from warden.campaigns.allowed import CampaignDecision
from warden_cli.campaign_commands import PURPOSES


@cache
def told() -> dict[str, Any]:
    """Return the service's own answer about a campaign of a larger fleet whose first device is asked."""
    world = a_campaign(3)
    world.sweep(after=TURN)
    answer = world.order("campaign")
    return {"campaign": answer["campaign"] | {"enrolled": 1204, "waiting": 1203}}


@pytest.fixture(name="answer")
def _answer() -> dict[str, Any]:
    return told()


class TestStanding:
    def test_it_says_where_the_campaign_stands_and_what_can_be_done(
        self, answer: dict[str, Any], shell: Shell, operate: Operate
    ) -> None:
        operate.answering("campaign", answer)

        said = shell.warden("campaign")

        assert said.code == 0
        for line in (
            "Campaign 20261122T120000Z running",
            "Step 1 of 3, one device",
            "Budget 99 of 100 devices left within 24 hours",
            "Enrolled 1,204",
            "Waiting 1,203 for their turn",
            "Sent 1 are asked",
            "stop sending jobs for now warden campaign pause",
        ):
            assert line in said.text

    def test_for_programs_it_is_the_answer_itself(self, answer: dict[str, Any], shell: Shell, operate: Operate) -> None:
        operate.answering("campaign", answer)

        assert shell.warden("campaign", "--json").json == answer

    @pytest.mark.parametrize("width", [60, 80, 120])
    def test_it_fits_the_terminal(
        self, width: int, answer: dict[str, Any], shell: Shell, operate: Operate, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", str(width))
        operate.answering("campaign", answer)

        assert max(len(line) for line in shell.warden("campaign").out.splitlines()) <= width

    def test_why_it_stopped_stands_on_top(self, answer: dict[str, Any], shell: Shell, operate: Operate) -> None:
        stopped = answer["campaign"] | {"state": "stopped", "why": "2 of 13 devices failed", "who": "fleet-warden"}
        stopped["allowed"] = ["resume", "cancel"]
        operate.answering("campaign", {"campaign": stopped})

        said = shell.warden("campaign").text

        assert "stopped 2 of 13 devices failed (fleet-warden) Began" in said
        assert "send jobs again, once the cause is fixed warden campaign resume" in said
        assert "end it warden campaign cancel" in said

    @pytest.mark.parametrize("decision", CampaignDecision)
    def test_every_decision_that_the_service_allows_is_proposed(
        self, decision: CampaignDecision, answer: dict[str, Any], shell: Shell, operate: Operate
    ) -> None:
        operate.answering("campaign", {"campaign": answer["campaign"] | {"allowed": [decision, "of-a-newer-service"]}})

        said = shell.warden("campaign").text

        assert f"What can be done {PURPOSES[decision]} warden campaign {decision}" in said
        assert "newer" not in said

    def test_a_service_that_says_nothing_of_what_can_be_done_is_read(
        self, answer: dict[str, Any], shell: Shell, operate: Operate
    ) -> None:
        older = {name: value for name, value in answer["campaign"].items() if name != "allowed"}
        operate.answering("campaign", {"campaign": older})

        said = shell.warden("campaign")

        assert said.code == 0
        assert "What can be done" not in said.text

    def test_no_campaign_is_said_in_words(self, shell: Shell, operate: Operate) -> None:
        operate.answering("campaign", {"campaign": None})

        assert shell.warden("campaign").out.startswith("No campaign yet")

    def test_an_answer_of_another_version_is_no_stack_trace(self, shell: Shell, operate: Operate) -> None:
        operate.answering("campaign", {"campaign": {"state": "running"}})

        said = shell.warden("campaign")

        assert said.code == 3
        assert "cannot be read" in said.err


@pytest.mark.parametrize("decision", CampaignDecision)
def test_a_decision_is_handed_to_the_service(decision: str, shell: Shell, operate: Operate) -> None:
    operate.answering(f"campaign-{decision}", {"campaign": "c-1", "queued": decision, "who": ALICE, "request": "r"})

    said = shell.warden("campaign", decision, "--why", "as planned")

    assert operate.asked == [{"command": f"campaign-{decision}", "why": "as planned"}]
    assert f"Queued: {decision} of campaign c-1, as {ALICE}" in said.text


def test_a_refusal_is_said_in_the_service_s_words(shell: Shell, operate: Operate) -> None:
    refusal = {"error": "wrong-state", "message": "campaign c-1 is running; `start` is for one that waits"}
    operate.answering("campaign-start", Answer(refusal, 409))

    said = shell.warden("campaign", "start")

    assert said.code == 1
    assert "`start` is for one that waits" in said.err
