"""The baseline's stack as CloudFormation would compare it: what its read handlers answer out of the account.

[RP] as in `handlers`; the answers of types that are not here are taken to be as deployed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from tests.baseline.account import Account
from tests.baseline.handlers import CHECK_OF_PROPERTY
from tests.baseline.stack import Stack
from tests.stack_model import Deployed


def _audit(account: Account, _ref: str) -> dict[str, Any]:
    """Every check that the account knows, with its threshold if it has one [RP: Read of AccountAuditConfiguration]."""
    thresholds = {
        "DeviceCertificateAgeCheck": "CertAgeThresholdInDays",
        "DeviceCertificateExpiringCheck": "CertExpirationThresholdInDays",
    }
    checks: dict[str, Any] = {
        name: {"Enabled": check in account.audit.enabled} for name, check in CHECK_OF_PROPERTY.items()
    }
    for name, threshold in thresholds.items():
        checks[name]["Configuration"] = {threshold: account.audit.thresholds[threshold]}
    return {
        "AccountId": account.place.account,
        "RoleArn": account.audit.role,
        "AuditCheckConfigurations": checks,
        "AuditNotificationTargetConfigurations": {"Sns": dict(account.audit.target)},
    }


def _schedule(account: Account, ref: str) -> dict[str, Any]:
    return {"ScheduledAuditName": ref, "Frequency": "DAILY", "TargetCheckNames": list(account.scheduled[ref])}


def _logging(account: Account, _ref: str) -> dict[str, Any]:
    assert account.logging is not None
    return {
        "AccountId": account.place.account,
        "RoleArn": account.logging.role,
        "DefaultLogLevel": account.logging.level,
        "EventConfigurations": [
            {"EventType": event, "LogLevel": level, "LogDestination": group}
            for event, (level, group) in account.logging.events.items()
        ],
    }


READERS: dict[str, Callable[[Account, str], dict[str, Any]]] = {
    "AWS::IoT::AccountAuditConfiguration": _audit,
    "AWS::IoT::ScheduledAudit": _schedule,
    "AWS::IoT::Logging": _logging,
}


def deployed(stack: Stack) -> dict[str, Deployed]:
    """Return what CloudFormation compares of a stack, by the template's names."""
    found = {}
    for name, each in stack.resources.items():
        expected = copy.deepcopy(dict(each.properties))
        read = READERS.get(each.kind)
        actual = read(stack.account, each.made.ref) if read else copy.deepcopy(expected)
        found[name] = Deployed(name=name, type=each.kind, id=each.made.ref, expected=expected, actual=actual)
    return found
