"""A fleet of up to ten million devices behind botocore's wire, with AWS IoT's page sizes, order and default quotas.

Requests are what botocore sends and answers what it parses, so serialisers, paginators and the retries of the real
configuration are in every number. Nothing of the fleet is held in memory: a certificate's id, date and thing are
computed from its place in the order of age, and only what a run changes is kept.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.model import OperationModel

from tests.aws_stand_in.refusal import Refusal, status_of
from tests.bench.virtual_time import TokenBucket, VirtualTime
from warden.core.quotas import CALLS_PER_SECOND, LIST_PAGE, TARGETS_PER_JOB

REGION = "us-east-1"
ACCOUNT = "000000000000"
PREFIX = f"arn:aws:iot:{REGION}:{ACCOUNT}:"
LATENCY_S = 0.040
"""What a call takes, throttled or not."""

QUOTAS: Mapping[str, float] = CALLS_PER_SECOND

_DEFAULT_PAGE = 25
_RESTRICTED_GROUP, _RESTRICTED_POLICY = "warden-restricted", "warden-restricted-policy"


@dataclass(frozen=True)
class FleetShape:
    """How large a fleet is and how old: the first `due` certificates are older than `old_after`, the others younger."""

    size: int
    due: int
    now: datetime
    old_after: timedelta = timedelta(days=365)

    def created_at(self, index: int) -> datetime:
        """Return when a certificate was made; a lower index is older, by whole seconds."""
        if index < self.due:
            return self.now - self.old_after - timedelta(seconds=60 * (self.due - index))
        young = self.size - self.due
        return self.now - self.old_after * ((self.size - index) / (young + 1)) * 0.99

    @staticmethod
    def certificate(index: int) -> str:
        """Return the id of a certificate."""
        return f"{index:016x}{sha256(str(index).encode()).hexdigest()[:48]}"

    def index_of(self, certificate_id: str) -> int:
        """Find a certificate's place by its id.

        Raises:
            Refusal: when there is none of that id.
        """
        index = int(certificate_id[:16], 16)
        if index >= self.size or self.certificate(index) != certificate_id:
            raise Refusal("ResourceNotFoundException", "there is no such certificate")
        return index


@dataclass
class Fleet:
    """AWS IoT with this fleet in it. `calls` counts what was answered, `throttled` what was turned down."""

    shape: FleetShape
    clock: VirtualTime = field(default_factory=VirtualTime)
    calls: Counter[str] = field(default_factory=Counter)
    throttled: Counter[str] = field(default_factory=Counter)
    policies: dict[int, list[str]] = field(default_factory=dict)
    groups: dict[int, list[str]] = field(default_factory=dict)
    statuses: dict[int, str] = field(default_factory=dict)
    jobs: dict[str, int] = field(default_factory=dict)
    group_policies: dict[str, list[str]] = field(
        default_factory=lambda: {"pumps": ["pumps-policy"], "site-4": [], _RESTRICTED_GROUP: [_RESTRICTED_POLICY]}
    )
    _buckets: dict[str, TokenBucket] = field(default_factory=dict)

    def client(self, context: str, config: Config) -> Any:
        """Make a real client whose requests end here instead of on the network.

        It has a session of its own: once a session has made a client of Organizations, botocore 1.x tries nothing
        again for the clients that it makes afterwards in its legacy mode, for they share one set of retry rules.
        """
        made = boto3.Session().client(
            context,  # type: ignore[call-overload]  # any of the two that are answered here
            region_name=REGION,
            endpoint_url=f"https://{context}.fleet.invalid",
            aws_access_key_id="fleet",
            aws_secret_access_key="fleet",
            config=config,
        )
        model = made.meta.service_model

        def answer(request: AWSPreparedRequest, event_name: str, **_: object) -> AWSResponse:
            return self._answer(model.operation_model(event_name.rsplit(".", 1)[1]), request)

        made.meta.events.register("before-send", answer)
        return made

    def thing(self, index: int) -> str:
        """Return the name of a certificate's thing."""
        return f"thing-{index}"

    # --- the wire ------------------------------------------------------------------------------------------------

    def _answer(self, operation: OperationModel, request: AWSPreparedRequest) -> AWSResponse:
        self.clock.sleep(LATENCY_S)
        name = operation.name
        if name not in QUOTAS:
            raise NotImplementedError(f"{name} has no quota here, nor an answer")
        bucket = self._buckets.setdefault(name, TokenBucket(QUOTAS[name]))
        if not bucket.take(self.clock.now):
            self.throttled[name] += 1
            return _response(request, 429, {"message": "Rate exceeded"}, "ThrottlingException")
        self.calls[name] += 1
        try:
            answered = _ANSWERS[name](self, _parameters(operation, request))
        except Refusal as refusal:
            status = status_of(operation.service_model, refusal.code)
            return _response(request, status, {"message": refusal.message}, refusal.code)
        return _response(request, 200, answered)

    # --- what it answers -----------------------------------------------------------------------------------------

    def _list_certificates(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        first, size = _page_of(asked)
        last = min(first + size, self.shape.size)
        oldest_first = asked.get("ascendingOrder") in ("true", True)
        places = range(first, last)
        listed = [self._described(place if oldest_first else self.shape.size - 1 - place) for place in places]
        return {"certificates": listed} | ({"nextMarker": _marker(last)} if last < self.shape.size else {})

    def _described(self, index: int) -> dict[str, Any]:
        certificate = self.shape.certificate(index)
        return {
            "certificateArn": f"{PREFIX}cert/{certificate}",
            "certificateId": certificate,
            "status": self.statuses.get(index, "ACTIVE"),
            "creationDate": int(self.shape.created_at(index).timestamp()),
        }

    def _describe_certificate(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        described = self._described(self.shape.index_of(asked["certificateId"]))
        more = {"lastModifiedDate": described["creationDate"], "certificatePem": "-----BEGIN CERTIFICATE-----\n"}
        return {"certificateDescription": described | more}

    def _update_certificate(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        self.statuses[self.shape.index_of(asked["certificateId"])] = asked["newStatus"]
        return {}

    def _list_principal_things(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return {"things": [self.thing(self._certificate_of(asked["principal"]))]}

    def _list_thing_principals(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return {"principals": [f"{PREFIX}cert/{self.shape.certificate(self._thing_of(asked))}"]}

    def _describe_thing(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        self._thing_of(asked)
        return {"thingName": asked["thingName"]}

    def _list_groups(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        groups = self._groups(self._thing_of(asked))
        return {"thingGroups": [{"groupName": name, "groupArn": f"{PREFIX}thinggroup/{name}"} for name in groups]}

    def _list_attached_policies(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return {"policies": [_policy(name) for name in self._attached(asked["target"])]}

    def _effective_policies(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        groups = self._groups(self._thing_of(asked))
        names = {
            *self._attached(asked["principal"]),
            *(each for group in groups for each in self.group_policies[group]),
        }
        return {"effectivePolicies": [_policy(name) for name in sorted(names)]}

    def _attach_policy(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        attached = self._attached(asked["target"])
        if asked["policyName"] not in attached:
            attached.append(asked["policyName"])
        return {}

    def _detach_policy(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        attached = self._attached(asked["target"])
        if asked["policyName"] in attached:
            attached.remove(asked["policyName"])
        return {}

    def _change_groups(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        groups = self._groups(self._thing_of(asked))
        for group in asked.get("thingGroupsToAdd", [asked.get("thingGroupName")]):
            if group is not None and group not in groups:
                groups.append(group)
        for group in asked.get("thingGroupsToRemove", ()):
            if group in groups:
                groups.remove(group)
        return {}

    def _leave_group(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return self._change_groups({**asked, "thingGroupsToAdd": [], "thingGroupsToRemove": [asked["thingGroupName"]]})

    def _create_job(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        if asked["jobId"] in self.jobs:
            raise Refusal("ResourceAlreadyExistsException", "the job exists")
        if len(asked["targets"]) > TARGETS_PER_JOB:
            raise Refusal("LimitExceededException", f"a job has {TARGETS_PER_JOB} targets at most")
        self.jobs[asked["jobId"]] = len(asked["targets"])
        return {"jobId": asked["jobId"]}

    def _describe_execution(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        self._nothing_of_job(asked)
        return {"execution": {"jobId": asked["jobId"], "status": "QUEUED"}}

    def _nothing_of_job(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        if asked["jobId"] not in self.jobs:
            raise Refusal("ResourceNotFoundException", "there is no such job")
        return {}

    def _nothing(self, _asked: Mapping[str, Any]) -> dict[str, Any]:
        return {}

    def _list_violations(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        thing = asked["thingName"]
        return {"activeViolations": [{"violationId": f"violation-of-{thing}", "thingName": thing}]}

    # --- what is there -------------------------------------------------------------------------------------------

    def _thing_of(self, asked: Mapping[str, Any]) -> int:
        index = asked["thingName"].removeprefix("thing-")
        if not index.isdecimal() or int(index) >= self.shape.size:
            raise Refusal("ResourceNotFoundException", "there is no such thing")
        return int(index)

    def _certificate_of(self, arn: str) -> int:
        return self.shape.index_of(arn.removeprefix(f"{PREFIX}cert/"))

    def _groups(self, index: int) -> list[str]:
        return self.groups.setdefault(index, ["pumps", "site-4"])

    def _attached(self, target: str) -> list[str]:
        if group := target.partition(":thinggroup/")[2]:
            return self.group_policies.setdefault(group, [])
        return self.policies.setdefault(self._certificate_of(target), ["fleet-device"])


_ANSWERS: Mapping[str, Callable[[Fleet, Mapping[str, Any]], dict[str, Any]]] = {
    "ListCertificates": Fleet._list_certificates,
    "DescribeCertificate": Fleet._describe_certificate,
    "UpdateCertificate": Fleet._update_certificate,
    "AttachPolicy": Fleet._attach_policy,
    "DetachPolicy": Fleet._detach_policy,
    "ListAttachedPolicies": Fleet._list_attached_policies,
    "GetEffectivePolicies": Fleet._effective_policies,
    "ListThingPrincipals": Fleet._list_thing_principals,
    "ListPrincipalThings": Fleet._list_principal_things,
    "AddThingToThingGroup": Fleet._change_groups,
    "RemoveThingFromThingGroup": Fleet._leave_group,
    "UpdateThingGroupsForThing": Fleet._change_groups,
    "ListThingGroupsForThing": Fleet._list_groups,
    "DescribeThing": Fleet._describe_thing,
    "CreateJob": Fleet._create_job,
    "DescribeJobExecution": Fleet._describe_execution,
    "CancelJobExecution": Fleet._nothing_of_job,
    "DeleteConnection": Fleet._nothing,
    "ListActiveViolations": Fleet._list_violations,
}


def _policy(name: str) -> dict[str, str]:
    return {"policyName": name, "policyArn": f"{PREFIX}policy/{name}"}


def _page_of(asked: Mapping[str, Any]) -> tuple[int, int]:
    size = int(asked.get("pageSize", _DEFAULT_PAGE))
    if not 1 <= size <= LIST_PAGE:
        raise Refusal("InvalidRequestException", f"a page has 1 to {LIST_PAGE} certificates")
    try:
        return int(b64decode(asked["marker"])) if "marker" in asked else 0, size
    except ValueError as error:
        raise Refusal("InvalidRequestException", "no marker of ours") from error


def _marker(index: int) -> str:
    return b64encode(str(index).encode()).decode()


def _parameters(operation: OperationModel, request: AWSPreparedRequest) -> dict[str, Any]:
    """Read a request's parameters from wherever the operation's model puts each: path, query, headers or body."""
    address = urlsplit(request.url)
    path = address.path
    pattern = re.sub(r"\\\{(\w+)\\?\+?\\\}", r"(?P<\1>.+?)", re.escape(operation.http["requestUri"].split("?")[0]))
    placed = re.fullmatch(pattern, path)
    in_path = placed.groupdict() if placed else {}
    query = parse_qs(address.query)
    body = json.loads(request.body) if isinstance(request.body, str | bytes) and request.body else {}
    found: dict[str, Any] = {}
    shape = operation.input_shape
    for member, part in (shape.members if shape else {}).items():
        where, name = part.serialization.get("location"), part.serialization.get("name", member)
        if where == "uri" and name in in_path:
            found[member] = unquote(in_path[name])
        elif where == "querystring" and name in query:
            found[member] = query[name][0]
        elif where == "header" and name in request.headers:
            value = request.headers[name]
            found[member] = value.decode() if isinstance(value, bytes) else value
        elif where is None and name in body:
            found[member] = body[name]
    return found


def _response(request: AWSPreparedRequest, status: int, body: Mapping[str, Any], error: str = "") -> AWSResponse:
    headers = HTTPHeaders()
    headers["content-type"] = "application/json"
    if error:
        headers["x-amzn-errortype"] = error
    response = AWSResponse(request.url, status, headers, None)
    response._content = json.dumps(body).encode()  # type: ignore[attr-defined]  # as if read from a socket
    return response


NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
