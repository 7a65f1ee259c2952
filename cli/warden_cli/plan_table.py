"""The table in docs/response-plan.md: what the deployed plan does about every kind that the sources know.

`python -m warden_cli.plan_table` rewrites it; a test compares the page with it.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files
from itertools import groupby
from pathlib import Path

from warden.core.findings import LOGS_WANTED, Finding, Severity, Source, Subject, SubjectType
from warden.ingest.detectors.audit import CHECKS
from warden.ingest.detectors.detect import CLOUD_SIDE_METRICS, severity_of
from warden.plan.actions import NOTIFY
from warden.plan.model import Device, Plan
from warden.plan.parser import read_plan

BEGIN = "<!-- made by `make plan-table`: begin -->"
END = "<!-- made by `make plan-table`: end -->"

DEVICE_SIDE_METRICS = (
    "aws:all-bytes-in",
    "aws:all-bytes-out",
    "aws:all-packets-in",
    "aws:all-packets-out",
    "aws:destination-ip-addresses",
    "aws:listening-tcp-ports",
    "aws:listening-udp-ports",
    "aws:num-established-tcp-connections",
    "aws:num-listening-tcp-ports",
    "aws:num-listening-udp-ports",
)
"""What a device reports of itself, as AWS documents it. The source needs no such list: it is everything else."""

CUSTOM_METRIC = "your-own-metric"

MACHINE_LEARNING = {
    "aws:all-bytes-in",
    "aws:all-bytes-out",
    "aws:all-packets-in",
    "aws:all-packets-out",
    "aws:message-byte-size",
    "aws:num-authorization-failures",
    "aws:num-connection-attempts",
    "aws:num-disconnects",
    "aws:num-established-tcp-connections",
    "aws:num-listening-tcp-ports",
    "aws:num-listening-udp-ports",
    "aws:num-messages-received",
    "aws:num-messages-sent",
    CUSTOM_METRIC,
}
"""The metrics for which AWS trains models."""

_TOLD_OF = (Source.DETECT, Source.AUDIT, Source.GUARDDUTY, Source.GENERIC, Source.SECURITY_HUB, Source.SCHEDULE)
"""Sources whose kinds are known. Security Hub's findings keep their source; no rule is for the schedule."""

GUARDDUTY_FAMILIES = (
    "AttackSequence:IAM/CompromisedCredentials",
    "CredentialAccess:IAMUser/AnomalousBehavior",
    "CredentialAccess:IAMUser/CompromisedCredentials",
    "DefenseEvasion:IAMUser/AnomalousBehavior",
    "Discovery:IAMUser/AnomalousBehavior",
    "Exfiltration:IAMUser/AnomalousBehavior",
    "Impact:IAMUser/AnomalousBehavior",
    "InitialAccess:IAMUser/AnomalousBehavior",
    "Persistence:IAMUser/AnomalousBehavior",
    "PrivilegeEscalation:IAMUser/AnomalousBehavior",
    "Recon:IAMUser/MaliciousIPCaller",
    "Recon:IAMUser/MaliciousIPCaller.Custom",
    "Recon:IAMUser/TorIPCaller",
    "Stealth:IAMUser/CloudTrailLoggingDisabled",
    "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration",
    "UnauthorizedAccess:IAMUser/MaliciousIPCaller",
    "UnauthorizedAccess:IAMUser/MaliciousIPCaller.Custom",
    "UnauthorizedAccess:IAMUser/TorIPCaller",
)
"""The types of GuardDuty that can be about a role's credentials; the source reads others of that kind as well."""

_CRITERIA = (("static", ""), ("statistical", ""), *(("machine-learning", each) for each in ("HIGH", "MEDIUM", "LOW")))
_NO_DEVICE_CHECKS = frozenset(check for check in CHECKS if "DEVICE_CERTIFICATE_" not in check or "_CA_" in check)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind that a source can report. `section` is its part of the table."""

    section: str
    source: Source
    name: str
    severities: Sequence[Severity]
    note: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    has_device: bool = True


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of the table; severities with the same answer share it."""

    kind: Kind
    severities: Sequence[Severity]
    rule: str
    actions: Sequence[str]
    mode: str


def kinds() -> Iterator[Kind]:
    """List the kinds that the sources know, in the order of the table."""
    yield from _detect("Detect: what AWS IoT measures", sorted(CLOUD_SIDE_METRICS))
    yield from _detect("Detect: what the device says of itself", (*DEVICE_SIDE_METRICS, CUSTOM_METRIC))
    for check, severity in sorted(CHECKS.items()):
        yield Kind(
            section="Audit",
            source=Source.AUDIT,
            name=check,
            severities=(severity,),
            attributes={"check": check},
            has_device=check not in _NO_DEVICE_CHECKS,
        )
    for type_ in GUARDDUTY_FAMILIES:
        yield Kind(section="GuardDuty", source=Source.GUARDDUTY, name=type_, severities=tuple(Severity))
    yield Kind(
        section="GuardDuty",
        source=Source.GUARDDUTY,
        name="any of them",
        note="no device's certificate",
        severities=tuple(Severity),
        has_device=False,
    )
    yield Kind(section="Other", source=Source.GENERIC, name="your.detector/any-kind", severities=tuple(Severity))
    yield Kind(section="Other", source=Source.OPERATOR, name=LOGS_WANTED, severities=tuple(Severity))
    for source in Source:
        if source not in _TOLD_OF:
            yield Kind(section="Other", source=source, name="any-kind", severities=tuple(Severity))


def _detect(section: str, metrics: Sequence[str]) -> Iterator[Kind]:
    for metric in metrics:
        criteria = _CRITERIA if metric in MACHINE_LEARNING else _CRITERIA[:2]
        yield Kind(
            section=section,
            source=Source.DETECT,
            name=metric,
            severities=tuple(sorted({severity_of(*each) for each in criteria}, key=lambda each: each.rank)),
            attributes={"metric": metric},
        )


def rows(plan: Plan) -> Iterator[Row]:
    """Match the plan with every kind, at every severity that it can have."""
    for kind in kinds():
        asked = [(severity, plan.rule_for(_finding(kind, severity), Device())) for severity in kind.severities]
        for rule, group in groupby(reversed(asked), key=lambda pair: pair[1]):
            touches = kind.has_device and rule.actions != (NOTIFY,)
            yield Row(
                kind=kind,
                severities=[severity for severity, _ in group],
                rule=rule.name,
                actions=rule.actions if touches else (NOTIFY,),
                mode=rule.mode if touches else "",
            )


def _finding(kind: Kind, severity: Severity) -> Finding:
    return Finding(
        id="table",
        source=kind.source,
        kind=kind.name,
        subject=Subject(SubjectType.THING, "device") if kind.has_device else Subject(SubjectType.ACCOUNT, "0" * 12),
        severity=severity,
        observed_at=datetime.now(UTC),
        title=kind.name,
        attributes=kind.attributes,
    )


def table(plan: Plan) -> str:
    """Write the table as Markdown, with its markers."""
    lines = [BEGIN]
    for section, group in groupby(rows(plan), key=lambda row: row.kind.section):
        lines += ["", f"**{section}**", "", "| kind | severity | rule | actions | mode |", "|---|---|---|---|---|"]
        lines += [_line(row) for row in group]
    return "\n".join([*lines, "", END])


def _line(row: Row) -> str:
    source = f"{row.kind.source}: " if row.kind.section == "Other" else ""
    name = row.kind.name if " " in row.kind.name else f"`{row.kind.name}`"
    note = f", {row.kind.note}" if row.kind.note else ""
    severity = "any" if len(row.severities) == len(Severity) else ", ".join(row.severities)
    cells = (f"{source}{name}{note}", severity, f"`{row.rule}`", ", ".join(row.actions), row.mode)
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def with_table(page: str, plan: Plan) -> str:
    """Put the table into a page, between the markers.

    Raises:
        ValueError: when one of them is missing.
    """
    before, _, rest = page.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"the page has no lines {BEGIN!r} and {END!r} to put the table between")
    return f"{before}{table(plan)}{after}"


def main(path: str) -> None:
    """Rewrite the table of a page from the plan that this checkout deploys."""
    page = Path(path)
    plan = read_plan(files("warden_plan").joinpath("response-plan.toml").read_text(encoding="utf-8"))
    page.write_text(with_table(page.read_text(encoding="utf-8"), plan), encoding="utf-8")
    print(f"{path}: {sum(1 for _ in rows(plan))} rows")


if __name__ == "__main__":
    main(sys.argv[1])
