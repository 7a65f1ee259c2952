"""The same ground under the real adapters and under the fakes, so that one test can stand on both."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol

import boto3

from tests.fakes import FakeCertificates, FakeClock, FakeJobs, FakeRegistry, a_key
from warden.aws.certificates import IotCertificates
from warden.aws.jobs import IotJobs
from warden.aws.registry import IotRegistry
from warden.core.ports import Certificates, Jobs, Registry

ACCOUNT = "123456789012"
REGION = "us-east-1"
PREFIX = f"arn:aws:iot:{REGION}:{ACCOUNT}:"
_POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:Connect","Resource":"*"}]}'


class Ground(Protocol):
    """What a test can have there before it begins, and the ports that then work on it."""

    registry: Registry
    certificates: Certificates
    jobs: Jobs

    def thing(self, name: str, *, groups: Sequence[str] = ()) -> None: ...

    def group(self, name: str, *, policies: Sequence[str] = ()) -> None: ...

    def policies(self, *names: str) -> None: ...

    def certificate(self, number: int, *, thing: str = "") -> str:
        """Register an ACTIVE certificate, attached to a thing if one is named; gives its id."""
        ...


class MotoGround:
    """On moto, through clients of its own."""

    def __init__(self) -> None:
        self._iot = boto3.client("iot", region_name=REGION)
        self.registry: Registry = IotRegistry(self._iot, PREFIX)
        self.certificates: Certificates = IotCertificates(self._iot, PREFIX)
        self.jobs: Jobs = IotJobs(self._iot, PREFIX)

    def thing(self, name: str, *, groups: Sequence[str] = ()) -> None:
        self._iot.create_thing(thingName=name)
        for group in groups:
            self.group(group)
            self._iot.add_thing_to_thing_group(thingName=name, thingGroupName=group)

    def group(self, name: str, *, policies: Sequence[str] = ()) -> None:
        with suppress(self._iot.exceptions.ResourceAlreadyExistsException):
            self._iot.create_thing_group(thingGroupName=name)
        self.policies(*policies)
        for policy in policies:
            self._iot.attach_policy(policyName=policy, target=f"{PREFIX}thinggroup/{name}")

    def policies(self, *names: str) -> None:
        for name in names:
            with suppress(self._iot.exceptions.ResourceAlreadyExistsException):
                self._iot.create_policy(policyName=name, policyDocument=_POLICY)

    def certificate(self, number: int, *, thing: str = "") -> str:
        made = self._iot.register_certificate_without_ca(certificatePem=a_key(number).pem, status="ACTIVE")
        if thing:
            self._iot.attach_thing_principal(thingName=thing, principal=made["certificateArn"])
        return made["certificateId"]


class FakeGround:
    """On the fakes that every other test uses."""

    def __init__(self) -> None:
        registry = FakeRegistry()
        clock = FakeClock()
        clock.time = datetime.now(UTC)
        certificates = FakeCertificates(registry, clock)
        self._registry, self._certificates = registry, certificates
        self.registry: Registry = registry
        self.certificates: Certificates = certificates
        self.jobs: Jobs = FakeJobs(registry, clock)

    def thing(self, name: str, *, groups: Sequence[str] = ()) -> None:
        self._registry.add_thing(name, groups=groups)

    def group(self, name: str, *, policies: Sequence[str] = ()) -> None:
        self._registry.group_policies[name] = list(policies)

    def policies(self, *names: str) -> None:
        """Every policy is there until a fake is told that it is gone."""

    def certificate(self, number: int, *, thing: str = "") -> str:
        certificate = f"{number:064x}"
        self._certificates.enrol(certificate, a_key(number).pem, [])
        if thing:
            self._registry.attached.append((certificate, thing))
        return certificate
