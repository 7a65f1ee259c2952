"""What the pages say is there, is there: links, files, commands, events, parameters, codes, and the promises' tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.sample_events import SAMPLE_EVENTS
from warden.core.findings import Source
from warden.plan.actions import ACTIONS
from warden.plan.parser import read_plan

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    *(ROOT / "baseline").glob("*.md"),
    *(ROOT / "device").glob("*.md"),
    *(ROOT / "events").glob("*.md"),
    *sorted((ROOT / "docs").rglob("*.md")),
]
README = (ROOT / "README.md").read_text()
TEMPLATE = (ROOT / "template.yaml").read_text()
BASELINE = (ROOT / "baseline/template.yaml").read_text()
PACKAGE = ROOT / "layers/warden/warden"

EXAMPLES = {
    "events/FILE",
    "ingest/detectors/my_detector.py",
    "events/my-detector.json",
    "respond/actions/mark_thing.py",
}
"""Paths that a page makes up to show a form."""

STARTS = (
    Path(),
    Path("layers/warden/warden"),
    Path("baseline"),
    Path("device"),
    Path("events"),
    Path("docs"),
    Path("tests"),
)
"""Where a path in backticks may begin: at the root, or in the folder that its page is about."""

MADE = {".venv-sam", ".venv", ".aws-sam", "build", "collected"}
"""Folders that a command or the agent makes."""


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    """Return a page without its code blocks, in which links and backticks are not markup."""
    return re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Name a page's headings as GitHub does."""
    titles = re.findall(r"^#+ +(.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_link_leads_somewhere(page: Path) -> None:
    lost = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            lost.append(target)

    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_file_that_is_named_exists(page: Path) -> None:
    named = set(re.findall(r"`((?:[\w.-]+/)*[\w.-]+\.(?:py|toml|json|yaml|md|sh|in|txt|svg))`", prose(page)))
    named |= set(re.findall(r"`((?:[\w.-]+/)+)`", prose(page))) - {"warden/"}  # the device topics' first level
    missing = {
        path
        for path in named - EXAMPLES
        if Path(path).parts[0] not in MADE and not any((ROOT / start / path).exists() for start in STARTS)
    }

    # Files on a device or made up by a configuration's example have no folder here.
    assert {path for path in missing if "/" in path or path.endswith(".py")} == set()


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    text = page.read_text()
    targets = set(re.findall(r"`make ([a-z][a-z-]*)", text)) | set(re.findall(r"^make ([a-z-]+)", text, re.MULTILINE))
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert targets - known == set()


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_event_that_is_named_exists(page: Path) -> None:
    named = set(re.findall(r"events/[\w-]+\.json", page.read_text()))

    assert {path for path in named - EXAMPLES if not (ROOT / path).exists()} == set()


def section(name: str) -> str:
    block = re.search(rf"^{name}:\n(.*?)(?=^\S)", TEMPLATE, re.DOTALL | re.MULTILINE)
    assert block is not None
    return block[1]


def test_every_parameter_and_output_that_the_pages_name_is_in_the_template() -> None:
    declared = set(re.findall(r"^  (\w+):", section("Parameters"), re.MULTILINE))
    outputs = set(re.findall(r"^  (\w+):", TEMPLATE.split("\nOutputs:\n")[1], re.MULTILINE))
    resources = set(re.findall(r"^  (\w+):", section("Resources"), re.MULTILINE))
    baseline = set(re.findall(r"^  (\w+):", BASELINE, re.MULTILINE))
    text = "\n".join(prose(page) for page in PAGES if page.parent.name != "device")
    # Two words written together, in backticks or as a placeholder, are names of the template unless AWS's.
    aws = {"CreateJob", "DeleteConnection", "CreateCertificateFromCsr", "GetStatistics", "ListThings", "NotResource"}
    aws |= {"DescribeJobExecution", "TerminalStateException", "SourceAccount", "SourceArn"}
    aws |= {
        "ListActiveViolations",
        "ListThingGroupsForThing",
        "DescribeThing",
        "ListThingPrincipals",
        "GetEffectivePolicies",
    }
    aws |= {"ListPrincipalThings", "ListAttachedPolicies", "AttachPolicy", "DetachPolicy", "UpdateThingGroupsForThing"}
    aws |= {"AddThingToThingGroup", "RemoveThingFromThingGroup", "MisconfiguredDeviceDefenderNotification"}
    aws |= {"SendMessage", "ReceiveMessage", "DeleteMessage", "GetQueueAttributes", "RetainExceptOnCreate"}
    aws |= {"DetectStackDrift", "UpdateResource"}
    ours = {"Refused", "ActionFailed", "Conflict", "NotYet", "NewerRecord", "RecordType"}
    ours |= {"StackDrift", "ResourceUpdates"}  # ports
    metrics = {"SweepQueued", "Findings", "Handled", "DeviceRequests", "JobEvents"}
    metrics |= {
        "ControlsOff",
        "ControlsPartly",
        "ControlsNotKnown",
        "LivenessWrong",
        "LivenessNotKnown",
        "LineWrong",
        "PropertiesDrifted",
        "SurveyFailures",
    }
    named = set(re.findall(r"[`<]([A-Z][a-z]+(?:[A-Z][A-Za-z]*)+)[`>=]", text))

    assert {"Mode", "NoticesEmail"} <= declared
    assert named - declared - outputs - resources - baseline - aws - ours - metrics == set()


def test_the_deployments_parameters_in_readme_have_the_defaults_of_the_template() -> None:
    rows = re.findall(r"^\| `(\w+)`(?:, `(\w+)`)? \| (.+?) \|", README, re.MULTILINE)
    told: dict[str, str] = {}
    for first, second, defaults in rows:
        values = re.findall(r"`([^`]*)`", defaults) or [""]
        told |= dict(zip([name for name in (first, second) if name], values, strict=False))
    parameters = section("Parameters")
    real = dict(re.findall(r'^  (\w+):\n    Type: \w+\n    Default: "?([^"\n]*)"?', parameters, re.MULTILINE))

    assert len(told) > 5
    assert {name: value for name, value in told.items() if name in real and value != real[name]} == {}


def test_every_function_has_its_sample_in_readme() -> None:
    functions = set(re.findall(r"^  (\w+Function):", TEMPLATE, re.MULTILINE))
    rows = dict(re.findall(r"^\| `(\w+Function)` \| `(events/[\w-]+\.json)`", README, re.MULTILINE))

    assert set(rows) == functions
    for function, path in rows.items():
        folder = SAMPLE_EVENTS[Path(path).stem].function
        assert function == f"{folder.title().replace('_', '')}Function"


def promises() -> dict[int, str]:
    return {
        int(number): line for line in README.splitlines() if (number := "".join(re.findall(r"^\| ([1-8]) \|", line)))
    }


@pytest.mark.parametrize("number", range(1, 9))
def test_every_promise_names_tests_that_exist(number: int) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)`", promises()[number])

    assert named
    assert [path for path in named if not (ROOT / path).is_file()] == []


def test_every_code_that_a_device_can_be_told_is_in_the_contract_and_no_other() -> None:
    raised = {
        code
        for module in (PACKAGE / "devices").glob("*.py")
        if module.stem != "job_events"  # those come from IoT Jobs, not from a device
        for code in re.findall(r'Refused\(\s*"([a-z-]+)"', module.read_text())
    }
    contract = (ROOT / "docs/device-contract.md").read_text()
    never_answered = {"unknown-request", "not-a-device-request"}
    told = set(re.findall(r"^\| `([a-z-]+)` \| (?:all|create|confirm|logs)", contract, re.MULTILINE))

    assert told == raised - never_answered
    assert all(f"(`{code}`)" in contract for code in never_answered)


def test_every_kind_of_record_is_in_the_architecture_and_no_other() -> None:
    written = {
        kind
        for module in PACKAGE.rglob("*.py")
        if "detectors" not in module.parts
        for kind in re.findall(r'(?:"type": |RecordType\(\s*name=)"([a-z-]+)"', module.read_text())
    }
    page = (ROOT / "docs/architecture.md").read_text()
    described = set(re.findall(r"^\| `[A-Z]+.*?\| `[^|]+ \| `([a-z-]+)` \|", page, re.MULTILINE))
    described |= set(re.findall(r"^\| `REFUSAL#<day>` \| digest \| `(refusal)` \|", page, re.MULTILINE))

    assert described == written


def test_a_rule_in_the_pages_can_be_put_into_the_plan() -> None:
    plan = (ROOT / "layers/plan/python/warden_plan/response-plan.toml").read_text()
    head, rest = plan.split("[[rule]]", 1)
    shown = [
        block
        for page in PAGES
        for block in re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL)
        if "[[rule]]" in block
    ]

    assert len(shown) >= 2
    for block in shown:
        read_plan(f"{head}{block}\n[[rule]]{rest}")


def test_the_plans_page_lists_every_action_and_every_source() -> None:
    page = (ROOT / "docs/response-plan.md").read_text()
    rows = set(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE))
    sources = set(Source) - {Source.SECURITY_HUB, Source.SCHEDULE}  # Security Hub forwards, the schedule meets no rule

    assert {*ACTIONS} - rows == set(), "docs/response-plan.md has no row for these actions"
    assert sources - rows == set(), "docs/response-plan.md has no row for these sources"


def test_the_plans_page_lists_the_actions_in_the_order_they_are_carried_out() -> None:
    page = (ROOT / "docs/response-plan.md").read_text()
    table = re.search(r"^\| action \|.*\n\|[-| ]+\n((?:\|.*\n)+)", page, re.MULTILINE)
    assert table is not None

    assert re.findall(r"^\| `([a-z-]+)` \|", table[1], re.MULTILINE) == [*ACTIONS]


def test_every_alarm_has_its_row_among_what_to_do() -> None:
    alarms = set(re.findall(r"^  (\w+):.*\n    Type: AWS::CloudWatch::Alarm", TEMPLATE, re.MULTILINE))
    rows = re.findall(r"^\|(?= `)([^|]+)\|[^|]+\| ([^|]+)", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)

    assert len(alarms) == TEMPLATE.count("Type: AWS::CloudWatch::Alarm")
    assert alarms <= {name for cell, todo in rows if todo for name in re.findall(r"`(\w+Alarm)`", cell)}


def test_the_costs_count_the_alarms_that_there_are() -> None:
    alarms = TEMPLATE.count("Type: AWS::CloudWatch::Alarm")

    assert f"{alarms} x 0.10" in (ROOT / "docs/costs.md").read_text()


def test_the_decisions_are_listed_in_order_and_have_every_part() -> None:
    folder = ROOT / "docs/decisions"
    pages = sorted(folder.glob("0*.md"))
    listed = re.findall(r"\]\((0[\w-]+\.md)\)", (folder / "README.md").read_text())

    assert listed == [page.name for page in pages]
    for page in pages:
        parts = re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE)
        assert parts == ["Context", "Options", "Decision", "What it would cost to reverse"]
