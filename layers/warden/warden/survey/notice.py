"""The notice for people when the account has become worse, in its controls or in what is heard."""

from __future__ import annotations

from collections.abc import Sequence

from warden.survey.model import Change, MendState, Survey


def subject_of(changes: Sequence[Change]) -> str:
    """Write the subject: one line of ASCII, under 100 characters."""
    if len(changes) > 1:
        more = " or were changed back" if _mended(changes) else ""
        return f"Fleet Warden: security baseline: {len(changes)} things are worse{more}"
    return f"Fleet Warden: security baseline: {changes[0].title}: {changes[0].after}"[:99]


def body_of(survey: Survey, changes: Sequence[Change], report: str) -> str:
    """Write what became worse, why, and what to do about each."""
    where = f"Account {survey.account}, {survey.region}, as of {survey.at:%Y-%m-%d %H:%M} UTC"
    paragraphs = [
        [f"{where}. Worse than before{', or changed back' if _mended(changes) else ''}:"],
        *(_paragraph(each) for each in changes),
        ["What to do next", f"  Read the whole survey: aws s3 cp {report} -"],
    ]
    return "\n\n".join("\n".join(lines) for lines in paragraphs) + "\n"


def _mended(changes: Sequence[Change]) -> bool:
    return any(each.after in (MendState.DONE, MendState.FAILED) for each in changes)


def _paragraph(change: Change) -> list[str]:
    return [
        f"{change.title}: {change.before} -> {change.after}",
        *(f"  {sentence}" for sentence in change.says),
        *(f"  To close it: {each}" for each in change.todo),
    ]
