"""CONTRIBUTING's worked examples pass as they are; a forgotten step fails by its name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.adding.examples import changes_of, copy_tree, pytest_in, run

pytestmark = pytest.mark.timeout(600)  # each runs a second Python, two of them mypy

WARDEN = "layers/warden/warden"
TESTS = "tests/unit/respond/test_actions.py"
ACCESS = "tests/template/test_access.py"
DOCS = "tests/docs/test_docs.py"
WORDS = "tests/docs/test_words.py"
ROLES = "tests/functions/test_every_call.py"
EVENTS = "tests/unit/ingest/detectors/test_events.py"
ROUTES = "tests/template/test_routes.py"
HANDBOOK = "tests/cli/test_handbook.py"
CONTRACTS = "tests/aws/test_contracts.py::test_every_method_of_a_port_has_a_contract"

ACTION_TESTS = (
    f"{TESTS}",
    f"{ACCESS}::test_what_actions_and_answers_declare_is_granted",
    "tests/unit/plan/test_parser.py",
)
PLAN_PAGE = f"{DOCS}::test_the_plans_page_lists_every_action_and_every_source"
PLAN_ORDER = f"{DOCS}::test_the_plans_page_lists_the_actions_in_the_order_they_are_carried_out"

ACTION = {
    f"{WARDEN}/respond/actions/mark_thing.py": (TESTS, "there is no respond/actions/mark_thing.py"),
    f"{WARDEN}/plan/actions.py": (TESTS, "no row in plan/actions.py names these modules of respond/actions"),
    f"{WARDEN}/core/ports.py": ("mypy", '"Registry" has no attribute "mark"'),
    f"{WARDEN}/aws/registry.py": ("mypy", '"IotRegistry" is missing following "Registry" protocol member'),
    "template.yaml": (f"{ACCESS}::test_what_actions_and_answers_declare_is_granted", "iot:UpdateThing"),
    "tests/fakes.py": (TESTS, "'FakeRegistry' object has no attribute 'mark'"),
    "tests/aws/test_contracts.py": (CONTRACTS, "('registry', 'mark')"),
    "tests/template/authorisation.py": (ROLES, "UpdateThing"),
    "docs/response-plan.md": (PLAN_PAGE, "docs/response-plan.md has no row for these actions"),
}
DETECTOR = {
    f"{WARDEN}/ingest/detectors/my_detector.py": (EVENTS, "No module named 'warden.ingest.detectors.my_detector'"),
    f"{WARDEN}/core/findings.py": (EVENTS, "core/findings.Source is their table"),
    "template.yaml": (ROUTES, "template.yaml has no rule and no subscription that brings what my_detector reads"),
    "template.yaml, all but its first part": (ROUTES, "InboxQueuePolicy in template.yaml does not let in"),
    "events/my-detector.json": (f"{EVENTS}::test_every_sample_has_its_row_and_every_row_its_sample", "my-detector"),
    "events/manifest.toml": (EVENTS, "events/manifest.toml has no sample that these modules of ingest/detectors read"),
    "docs/response-plan.md": (PLAN_PAGE, "docs/response-plan.md has no row for these sources"),
}
COMMAND = {
    f"{WARDEN}/operate/commands.py": (HANDBOOK, "operate/commands.py does not answer these"),
    "cli/warden_cli/case_commands.py": (HANDBOOK, "has no attribute 'mode'"),
    "cli/warden_cli/__main__.py": (HANDBOOK, "cli/warden_cli/__main__.py leads to none of these"),
    "docs/operations.md": (HANDBOOK, "docs/operations.md does not say what `warden mode` is for"),
}


FIRST_HUNK_ONLY = ", all but its first part"
"""Behind a path: what is forgotten is the rest of it."""


def check(tree: Path, what: str, mypy_cache: Path) -> str:
    """Run what would find a step that is missing."""
    if what == "mypy":
        modules = (f"{WARDEN}/bootstrap.py", f"{WARDEN}/respond/actions/mark_thing.py")
        return run(tree, "-m", "mypy", "--cache-dir", str(mypy_cache), *modules)
    return pytest_in(tree, what)


def example(tree: Path, title: str, *, without: str = "") -> Path:
    """Copy the tree and apply an example to it, except one file's part."""
    for change in changes_of(title):
        if change.path == without.removesuffix(FIRST_HUNK_ONLY) and without.endswith(FIRST_HUNK_ONLY):
            replace(change, hunks=change.hunks[:1]).apply(tree)
        elif change.path != without:
            change.apply(tree)
    return tree


@pytest.fixture(name="mypy_cache", scope="session")
def _mypy_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Share what mypy has worked out between the trees: they differ in a few modules, and a cold run takes seconds."""
    return tmp_path_factory.mktemp("mypy")


@pytest.fixture(name="tree")
def _tree(tmp_path: Path) -> Path:
    return copy_tree(tmp_path / "tree")


def test_the_steps_are_those_of_the_page() -> None:
    assert {change.path for change in changes_of("Add an action")} == ACTION.keys()
    assert {change.path for change in changes_of("Add a detector")} == {path.partition(",")[0] for path in DETECTOR}
    assert {change.path for change in changes_of("Add a command")} == COMMAND.keys()


def test_an_action_is_two_files_of_the_product_and_five_with_a_new_call() -> None:
    changes = {change.path.removeprefix(f"{WARDEN}/"): change.added for change in changes_of("Add an action")}
    product = {path: added for path, added in changes.items() if not path.startswith(("tests/", "docs/"))}
    new_call = {path: added for path, added in product.items() if path.startswith(("core/", "aws/", "template"))}

    assert product.keys() - new_call.keys() == {"respond/actions/mark_thing.py", "plan/actions.py"}
    assert (len(product), sum(product.values())) == (5, 30)


def test_an_action_by_the_book_is_green(tree: Path) -> None:
    example(tree, "Add an action")

    assert "exit code 0" in pytest_in(tree, *ACTION_TESTS, PLAN_PAGE, PLAN_ORDER, WORDS, ROLES)


def test_a_detector_by_the_book_is_green(tree: Path) -> None:
    example(tree, "Add a detector")
    run(tree, "-m", "tests.sample_events")
    run(tree, "-m", "warden_cli.plan_table", "docs/response-plan.md")

    said = pytest_in(tree, EVENTS, ROUTES, PLAN_PAGE, WORDS, "tests/unit/plan/test_default_plan.py")
    assert "exit code 0" in said, said[-3000:]


def test_a_command_by_the_book_is_green(tree: Path) -> None:
    example(tree, "Add a command")

    assert "exit code 0" in pytest_in(tree, HANDBOOK, "tests/unit/operate", WORDS)


@pytest.mark.parametrize("forgotten", ACTION)
def test_a_step_of_an_action_that_is_forgotten_is_named(tree: Path, forgotten: str, mypy_cache: Path) -> None:
    what, words = ACTION[forgotten]

    said = check(example(tree, "Add an action", without=forgotten), what, mypy_cache)

    assert "exit code 0" not in said
    assert words in said, said[-3000:]


@pytest.mark.parametrize("forgotten", DETECTOR)
def test_a_step_of_a_detector_that_is_forgotten_is_named(tree: Path, forgotten: str, mypy_cache: Path) -> None:
    what, words = DETECTOR[forgotten]

    said = check(example(tree, "Add a detector", without=forgotten), what, mypy_cache)

    assert "exit code 0" not in said
    assert words in said, said[-3000:]


@pytest.mark.parametrize("forgotten", COMMAND)
def test_a_step_of_a_command_that_is_forgotten_is_named(tree: Path, forgotten: str, mypy_cache: Path) -> None:
    what, words = COMMAND[forgotten]

    said = check(example(tree, "Add a command", without=forgotten), what, mypy_cache)

    assert "exit code 0" not in said
    assert words in said, said[-3000:]
