"""The contradictions between parameters that `baseline/template.yaml` refuses, reported before anything is written.

CloudFormation evaluates the template's `Rules` only at the deployment. A test holds this module to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum

_PLANS = (
    "S3DataEvents",
    "EksAuditLogs",
    "EbsMalwareProtection",
    "RdsLoginEvents",
    "LambdaNetworkLogs",
    "RuntimeMonitoring",
    "AiProtection",
    "AiAnalyst",
)
_OF_THE_BUCKET = {"ObjectLockMode": "off", "TrailBucketAdminArn": "", "AccessLogBucket": ""}
"""Parameters of the bucket that TrailMode=create makes, with their defaults."""
_EXISTING_TOPIC = ("ExistingAlertTopicArn", "ExistingAlertTopicKeyArn")
_EXISTING_TRAIL = ("ExistingTrailArn", "ExistingTrailBucket")


class Choice(StrEnum):
    """What a mode of the template can be."""

    CREATE = "create"
    ADOPT = "adopt"
    OFF = "off"


def contradictions(parameters: Mapping[str, str]) -> Iterator[str]:
    """List the contradictions that the template refuses in a set of parameters; a missing one has its default."""
    yield from _of_alerts(parameters)
    yield from _of_generation(parameters)
    for name, default in _OF_THE_BUCKET.items():
        if parameters.get(name, default) != default and parameters["TrailMode"] != Choice.CREATE:
            yield f"{name}: it is about the bucket of TrailMode=create, and TrailMode is {parameters['TrailMode']}"
    for name in _PLANS:
        if parameters.get(name) == "ENABLED" and parameters["DetectorMode"] != Choice.CREATE:
            yield f"{name}=ENABLED: it needs DetectorMode=create, and DetectorMode is {parameters['DetectorMode']}"
    if parameters.get("RuntimeAgents") == "ENABLED" and parameters.get("RuntimeMonitoring") != "ENABLED":
        yield "RuntimeAgents=ENABLED: it needs RuntimeMonitoring=ENABLED"


def _of_alerts(parameters: Mapping[str, str]) -> Iterator[str]:
    mode = parameters["AlertsMode"]
    if mode == Choice.ADOPT and not parameters.get("ExistingAlertTopicArn"):
        yield "AlertsMode=adopt: no topic is known that the audit reports to; add --set ExistingAlertTopicArn=ARN"
    for name in _EXISTING_TOPIC:
        if parameters.get(name) and mode != Choice.ADOPT:
            yield f"{name}: it is for AlertsMode=adopt, and AlertsMode is {mode}"
    if parameters.get("AlertEmail") and mode != Choice.CREATE:
        yield f"AlertEmail: it is for AlertsMode=create, and AlertsMode is {mode}; subscribe the address yourself"


def _of_generation(parameters: Mapping[str, str]) -> Iterator[str]:
    if parameters["PolicyGenerationMode"] != Choice.CREATE:
        return
    named = [name for name in _EXISTING_TRAIL if parameters.get(name)]
    if parameters["TrailMode"] == Choice.CREATE:
        yield from (f"{name}: with TrailMode=create, policies are generated from that trail" for name in named)
    elif len(named) < len(_EXISTING_TRAIL):
        yield (
            "PolicyGenerationMode=create: it needs a trail to read, and none is known; "
            "add --set ExistingTrailArn=ARN --set ExistingTrailBucket=NAME, or --set TrailMode=create"
        )
