"""moto, as strict as AWS, around every test of an adapter."""

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber
from moto import mock_aws

from tests.aws.backends import FakeGround, Ground, MotoGround
from tests.aws_stand_in.strict import StrictAws, watch

REGION = "us-east-1"

type Stubbed = Callable[[str], tuple[Any, Stubber]]
"""Makes a client of a service, and what its answers are put into."""


@pytest.fixture(autouse=True)
def strict(monkeypatch: pytest.MonkeyPatch) -> StrictAws:
    return watch(monkeypatch)


@pytest.fixture
def aws() -> Iterator[None]:
    with mock_aws():
        yield


def a_client(service: Any) -> Any:
    """Make a client of the stand-in; it needs the fixture `aws`."""
    client: Any = boto3.client(service, region_name=REGION)
    return client


@pytest.fixture
def stand_in(aws: None, strict: StrictAws) -> MotoGround:  # noqa: ARG001 - moto has to be there
    """Return the real adapters over the stand-in, for tests of requests to AWS and of its answers."""
    return MotoGround(strict)


@pytest.fixture(params=["stand-in", "fakes"])
def ground(request: pytest.FixtureRequest, strict: StrictAws) -> Ground:
    """Run a test twice: on the real adapters over the stand-in, and on the fakes."""
    if request.param == "fakes":
        return FakeGround()
    request.getfixturevalue("aws")
    return MotoGround(strict)


@pytest.fixture
def stubbed(strict: StrictAws) -> Iterator[Stubbed]:
    """Make clients for answers that no state of AWS leads to; each answer must fit botocore's model, and be used.

    Which tests those are, and why, is in docs/decisions/0021-stand-ins.md.
    """
    strict.on_moto = False  # what is in the world is what a test says it is
    stubbers: list[Stubber] = []

    def make(service: Any) -> tuple[Any, Stubber]:
        client: Any = boto3.client(service, region_name=REGION, config=Config(retries={"total_max_attempts": 1}))
        stubber = Stubber(client)
        stubber.activate()
        stubbers.append(stubber)
        return client, stubber

    yield make
    for stubber in stubbers:
        stubber.assert_no_pending_responses()
        stubber.deactivate()
