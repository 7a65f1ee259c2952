"""The report on one role: its policies, the generation, and each right with what is known about its use."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from warden.core import quotas
from warden_cli.baseline_proposal import is_unread, why_unread
from warden_cli.errors import BadUsage
from warden_cli.policy_generation import Generated, Progress, Stage
from warden_cli.role_account import Behind, Role
from warden_cli.role_rights import Judged, Verdict, judge, listed, rights_of, usage_of
from warden_cli.terminal import shown

NEEDS_A_POLICY = "Attach docs/baseline-roles-policy.json to your role, or ask again where AWS did not answer."


@dataclass(frozen=True, kw_only=True)
class RoleReport:
    """What is known about a role behind a role alias."""

    behind: Behind
    progress: Progress
    rights: Sequence[Judged] = ()
    file: str = ""

    @property
    def could_go(self) -> list[str]:
        """The actions that nobody was seen to use, and that CloudTrail would show."""
        return _named(self.rights, Verdict.NOT_SEEN)

    @property
    def cannot_tell(self) -> list[str]:
        """The actions of which CloudTrail does not say whether they are used."""
        return _named(self.rights, Verdict.CANNOT_TELL)

    @property
    def document(self) -> Mapping[str, Any]:
        """The generated policy; AWS splits a long one, which is put together again."""
        documents = self.progress.generated.documents if self.progress.generated else ()
        return {
            "Version": "2012-10-17",
            "Statement": [statement for each in documents for statement in listed(each.get("Statement", []))],
        }

    @property
    def is_too_long(self) -> bool:
        """Whether it does not fit into one managed policy."""
        return len("".join(json.dumps(self.document).split())) > quotas.MANAGED_POLICY_CHARACTERS

    def as_json(self) -> dict[str, Any]:
        """Return the report for programs."""
        role, job, generated = self.behind.role, self.progress.job, self.progress.generated
        known = role if isinstance(role, Role) else None
        return {
            "role": self.behind.arn,
            "aliases": [*self.behind.aliases],
            "stage": self.progress.stage,
            "says": self.progress.says,
            "fix": self.progress.fix,
            "last_used": _moment(known.last_used) if known else None,
            "boundary": known.boundary if known else None,
            "policies": [vars(each) for each in known.policies] if known else None,
            "job": {"id": job.id, "status": job.status, "started_at": _moment(job.started_at)} if job else None,
            "generated": _generated(generated, self.document) if generated else None,
            "rights": [{**vars(each.right), "verdict": each.verdict, "seen": [*each.seen]} for each in self.rights],
            "could_go": self.could_go if generated and known else None,
            "cannot_tell": self.cannot_tell if generated and known else None,
            "file": self.file,
        }


def report_on(behind: Behind, progress: Progress | None) -> RoleReport:
    """Put together what IAM and Access Analyzer say."""
    role = behind.role
    if role is None:
        return RoleReport(behind=behind, progress=_gone(behind))
    if progress is None or is_unread(role):
        why = why_unread(role) if is_unread(role) else ""
        stage = progress.stage if progress and progress.stage is not Stage.READY else Stage.NOT_KNOWN
        says = "; ".join(each for each in (why, progress.says if progress else "") if each)
        fix = progress.fix if progress and progress.fix else NEEDS_A_POLICY
        base = progress or Progress(stage=stage)
        return RoleReport(behind=behind, progress=replace(base, stage=stage, says=says, fix=fix))
    if progress.generated is None:
        return RoleReport(behind=behind, progress=progress)
    rights = judge(rights_of(role.policies), usage_of(progress.generated.documents))
    return RoleReport(behind=behind, progress=progress, rights=rights)


def folder_at(path: str) -> Path | None:
    """Return the folder to write into, which is made before any call.

    Raises:
        BadUsage: when it cannot be made.
    """
    if not path:
        return None
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadUsage(f"cannot write into {shown(path)}: {shown(error.strerror or str(error))}") from error
    return Path(path)


def written(report: RoleReport, folder: Path | None) -> RoleReport:
    """Write the generated policy into a file of its own. A role's name is a file's name in every file system.

    Raises:
        BadUsage: when it cannot be written.
    """
    if folder is None or report.progress.generated is None:
        return report
    file = folder / f"{report.behind.name}.json"
    try:
        file.write_text(f"{json.dumps(report.document, indent=2)}\n", encoding="utf-8")
    except OSError as error:
        raise BadUsage(f"cannot write {shown(str(file))}: {shown(error.strerror or str(error))}") from error
    return replace(report, file=str(file))


def _gone(behind: Behind) -> Progress:
    alias = behind.aliases[0]
    return Progress(
        stage=Stage.ROLE_GONE,
        says="the role does not exist any more; devices get no credentials by this alias",
        fix=f"aws iot update-role-alias --role-alias {alias} --role-arn ARN, or aws iot delete-role-alias",
    )


def _named(rights: Sequence[Judged], verdict: Verdict) -> list[str]:
    return sorted({each.right.action for each in rights if each.verdict is verdict})


def _generated(generated: Generated, document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "since": _moment(generated.since),
        "until": _moment(generated.until),
        "complete": generated.complete,
        "policy": document,
    }


def _moment(when: Any) -> str | None:
    return when.isoformat() if when else None
