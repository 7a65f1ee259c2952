"""`warden baseline` and `warden doctor`: which baseline controls the account has, and whether findings can arrive.

boto3 and the templates take half a second to import, so each is imported by the command that needs it.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from warden_cli.baseline_page import entries, falls_short, print_survey
from warden_cli.client import Service
from warden_cli.errors import BadUsage, Exit
from warden_cli.responses import understood
from warden_cli.terminal import as_json, shown


def show(arguments: Namespace, console: Console) -> Exit:
    """Show the last survey; the exit code says whether anything falls short that nobody has accepted."""
    answer = Service(arguments.url, region=arguments.region, profile=arguments.profile).ask("survey")
    survey = understood(_survey_in, answer)
    if survey is None and arguments.json:
        console.out(as_json(answer))
        return Exit.FOUND
    if survey is None:
        console.print("No survey yet: the first is made within a quarter of an hour of the deployment.")
        return Exit.FOUND
    keys = [key for key, _ in understood(lambda each: [*entries(each)], survey)]
    for each in arguments.accept:
        if each not in keys:
            raise BadUsage(f"--accept {shown(each, 80)}: it is one of {', '.join(map(shown, keys))}")
    if arguments.html:
        _write_page(arguments.html, survey)
    if arguments.json:
        console.out(as_json(answer))
    else:
        understood(lambda each: print_survey(console, each, arguments.accept), survey)
    return Exit.FOUND if falls_short(survey, arguments.accept) else Exit.DONE


def _survey_in(answer: Mapping[str, Any]) -> Mapping[str, Any] | None:
    survey = answer["survey"]
    if survey is not None and survey["schema_version"] != 1:
        raise ValueError("a form of another version")
    return dict(survey) if survey is not None else None


def _write_page(file: str, survey: Mapping[str, Any]) -> None:
    from jinja2 import UndefinedError

    from warden_pages.survey import survey_page

    def page(values: Mapping[str, Any]) -> str:
        try:
            return survey_page(values)
        except UndefinedError as error:
            raise ValueError(str(error)) from error

    try:
        Path(file).write_text(understood(page, survey), encoding="utf-8")
    except OSError as error:
        raise BadUsage(f"cannot write {shown(file)}: {shown(error.strerror or str(error))}") from error


def plan(arguments: Namespace, console: Console) -> Exit:
    """Propose the parameters of the baseline for this account."""
    from warden_cli.baseline_plan import plan_baseline

    return plan_baseline(arguments, console)


def roles(arguments: Namespace, console: Console) -> Exit:
    """Report on the roles behind role aliases, and which of their rights CloudTrail saw them use."""
    from warden_cli.baseline_roles import report_roles

    return report_roles(arguments, console)


def narrow(arguments: Namespace, console: Console) -> Exit:
    """Propose a narrower document for an AWS IoT policy, compared for a sample of its devices."""
    from warden_cli.baseline_narrow import narrow_policy

    return narrow_policy(arguments, console)


def identities(arguments: Namespace, console: Console) -> Exit:
    """Report things without a certificate of their own."""
    from warden_cli.identities import report_identities

    return report_identities(arguments, console)


def doctor(arguments: Namespace, console: Console) -> Exit:
    """Check devices, account and service for what keeps findings or answers from arriving."""
    from warden_cli.doctor import examine

    return examine(arguments, console)
