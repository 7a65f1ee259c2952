"""The local AWS and the stack on it, each started once and shared by every end-to-end test."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from local_fleet.aws import LocalAws
from local_fleet.deploy import deploy
from tests.conftest import ROOT

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.e2e)
            # The first of them pays for the deployment, and the machine may be busy.
            item.add_marker(pytest.mark.timeout(1800))


@dataclass(frozen=True)
class Stack:
    """Fleet Warden as deployed, and where."""

    aws: LocalAws
    name: str
    outputs: Mapping[str, str]


@pytest.fixture(scope="session")
def local_aws(testrun_uid: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """Start it, once in a run: a second worker that asks for it would pay for another deployment."""
    (tmp_path_factory.getbasetemp().parent / f"local-aws-{testrun_uid}").mkdir()
    with LocalAws() as aws:
        yield aws


@pytest.fixture(scope="session")
def stack(local_aws: LocalAws) -> Stack:
    """Deploy the application; what it is set to there stands in samconfig.toml under `local`."""
    if not (ROOT / "template.yaml").exists():
        pytest.skip("there is no template.yaml to deploy yet")
    return Stack(aws=local_aws, name="fleet-warden", outputs=deploy(local_aws, stack_name="fleet-warden"))
