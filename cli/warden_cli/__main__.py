"""The command line: `warden`, or `python -m warden_cli`."""

import os
import re
import sys
from argparse import (
    Action,
    ArgumentError,
    ArgumentParser,
    ArgumentTypeError,
    RawDescriptionHelpFormatter,
    _SubParsersAction,
)
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches

from warden.campaigns.allowed import CampaignDecision
from warden.cases.model import CaseState
from warden.core.findings import Severity
from warden.core.mode import Mode
from warden_cli import baseline_commands, campaign_commands, case_commands, plan_commands
from warden_cli.errors import CommandFailed, Exit
from warden_cli.terminal import a_console, shown

_EPILOG = """\
exit codes:
  0  done
  1  the service refused, or the work did not end well; or the plan has faults
  2  the command line or a file it names cannot be used
  3  the service could not be reached
  4  --wait: the time ran out before the case came to rest
  5  the account is not as it should be, or could not be read in full
  130  interrupted

environment:
  WARDEN_URL                 the stack's output OperateUrl
  AWS_PROFILE, AWS_REGION    as for every AWS tool; the URL names its region itself
  NO_COLOR                   no colours, even on a terminal

docs/operations.md is the handbook."""

_DECISIONS = {
    "approve": "carry out the plan on a case that waits or is held",
    "release": "release a contained device, by default with a new certificate",
    "dismiss": "close a case and leave the device alone",
    "cancel": "take back a release that waits for its device",
    "collect-logs": "ask a device for its logs, with or without a case",
}


class _Parser(ArgumentParser):
    """A parser that suggests the nearest word for one that it does not know, as argparse does from Python 3.14 on."""

    def _check_value(self, action: Action, value: object) -> None:
        try:
            super()._check_value(action, value)
        except ArgumentError as error:
            near = get_close_matches(str(value), [*map(str, action.choices or ())], n=1)
            if not near:
                raise
            raise ArgumentError(action, f"{error.message}; did you mean {near[0]!r}?") from error


def main(argv: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> int:
    """Run one command; return the exit code."""
    console = a_console()
    arguments = _parser(environment).parse_args(argv)
    try:
        code = arguments.run(arguments, console)
        sys.stdout.flush()
    except CommandFailed as failure:
        print(f"warden: {failure}", file=sys.stderr)
        return failure.code
    except KeyboardInterrupt:
        print("\nwarden: interrupted; work that is already queued continues", file=sys.stderr)
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader closed the pipe. Python would report that again when it closes the stream itself.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    return int(code)


def _parser(environment: Mapping[str, str]) -> ArgumentParser:
    parser: ArgumentParser = _Parser(
        prog="warden",
        description="Fleet Warden, the operator's command.",
        epilog=_EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")
    asks = _asks(environment)
    _add_cases(commands, asks)
    _add_show(commands, asks)
    for name, words in _DECISIONS.items():
        _add_decision(commands, asks, name, words)
    _add_find(commands, asks)
    _add_campaign(commands, asks)
    _add_switch(commands, asks)
    _add_plan(commands)
    _add_baseline(commands, asks)
    _add_doctor(commands, asks)
    return parser


def _asks(environment: Mapping[str, str]) -> ArgumentParser:
    """Make the options of every command that asks the service."""
    parent = ArgumentParser(add_help=False)
    parent.add_argument("--url", default=environment.get("WARDEN_URL", ""), help="the service (default: $WARDEN_URL)")
    parent.add_argument("--region", default="", help="its region, if the URL does not name it")
    parent.add_argument("--profile", default="", help="the AWS profile to use")
    parent.add_argument("--json", action="store_true", help="answer for programs")
    return parent


type _Commands = _SubParsersAction[ArgumentParser]


def _add_cases(commands: _Commands, asks: ArgumentParser) -> None:
    parser = commands.add_parser("cases", parents=[asks], help="list the open cases", description="List cases.")
    parser.add_argument(
        "--state", default="", choices=[*map(str, CaseState)], metavar="STATE", help=", ".join(CaseState)
    )
    parser.add_argument("--thing", default="", help="only cases of this device")
    parser.add_argument("--all", action="store_true", help="include closed cases")
    parser.set_defaults(run=case_commands.cases)


def _add_show(commands: _Commands, asks: ArgumentParser) -> None:
    words = "show one case: facts, actions, containment, timeline"
    parser = commands.add_parser("show", parents=[asks], help=words, description=_sentence(words))
    parser.add_argument("case", metavar="CASE")
    parser.set_defaults(run=case_commands.show)


def _add_decision(commands: _Commands, asks: ArgumentParser, name: str, words: str) -> None:
    parser = commands.add_parser(name, parents=[asks], help=words, description=_sentence(words))
    parser.add_argument("case", metavar="CASE|THING" if name == "collect-logs" else "CASE")
    parser.add_argument("--why", default="", metavar="TEXT", help="for the timeline, at most 500 characters")
    if name == "collect-logs":
        parser.add_argument(
            "--thing", action="store_true", help="it is a thing, though its name looks like a case's id"
        )
    if name == "release":
        parser.add_argument("--keep-certificate", action="store_true", help="do not rotate; keep the old one")
        parser.add_argument(
            "--accept-changes", action="store_true", help="accept the changes that people made to the device"
        )
    parser.add_argument("--wait", action="store_true", help="follow the case until it comes to rest")
    parser.add_argument(
        "--timeout", type=_seconds, default=900.0, metavar="S", help="for --wait: at most S seconds (900)"
    )
    parser.add_argument("--poll", type=_seconds, default=2.0, metavar="S", help="for --wait: ask every S seconds (2)")
    parser.set_defaults(run=case_commands.collect_logs if name == "collect-logs" else case_commands.decide)


def _add_find(commands: _Commands, asks: ArgumentParser) -> None:
    words = "report a device yourself; the plan decides what happens"
    parser = commands.add_parser("find", parents=[asks], help=words, description=_sentence(words))
    parser.add_argument("thing", metavar="THING")
    parser.add_argument(
        "--kind", default="suspicion", metavar="WORD", help="what is wrong, for the plan to match (suspicion)"
    )
    parser.add_argument("--severity", default="medium", choices=[*map(str, Severity)], help="how bad (medium)")
    parser.add_argument("--why", default="", metavar="TEXT", help="for the record, at most 500 characters")
    parser.set_defaults(run=case_commands.find)


def _add_campaign(commands: _Commands, asks: ArgumentParser) -> None:
    words = "show, start, pause or end the renewal of old certificates"
    parser = commands.add_parser("campaign", parents=[asks], help=words, description=_sentence(words))
    decisions = ", ".join(CampaignDecision)
    parser.add_argument(
        "decision", nargs="?", default="", choices=["", *map(str, CampaignDecision)], metavar="DECISION", help=decisions
    )
    parser.add_argument("--why", default="", metavar="TEXT", help="for the record, at most 500 characters")
    parser.set_defaults(run=campaign_commands.campaign)


def _add_switch(commands: _Commands, asks: ArgumentParser) -> None:
    run: Callable[..., Exit]
    for name, run, must, words in (
        ("stop", case_commands.stop, True, "the kill switch: touch no device until further notice"),
        ("resume", case_commands.resume, False, "release the kill switch"),
    ):
        parser = commands.add_parser(name, parents=[asks], help=words, description=_sentence(words))
        parser.add_argument("--why", default="", required=must, metavar="TEXT", help="for the record")
        parser.set_defaults(run=run)


def _add_plan(commands: _Commands) -> None:
    plan = commands.add_parser("plan", help="check and explain the response plan, offline")
    kinds = plan.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="plan_command")
    words = "report every fault of a plan with its line"
    check = kinds.add_parser("check", help=words, description=_sentence(words))
    check.add_argument("file", nargs="?", default="", help="default: the plan that this checkout deploys")
    check.add_argument("--json", action="store_true", help="answer for programs")
    check.set_defaults(run=plan_commands.check)

    words = "show which rule an event matches, and what would be done"
    explain = kinds.add_parser(
        "explain", help=words, description=f"{_sentence(words)} Works offline and touches nothing."
    )
    explain.add_argument(
        "event", metavar="EVENT.json", help="a detector's message, bare or as SNS, SQS or EventBridge delivers it"
    )
    explain.add_argument("--plan", default="", metavar="FILE", help="default: the plan that this checkout deploys")
    explain.add_argument(
        "--mode", choices=[*map(str, Mode)], help="the stack's parameter Mode (default: show all three)"
    )
    explain.add_argument("--thing-type", metavar="TYPE", help="the device's type, for rules with thing_type")
    explain.add_argument(
        "--thing-group", action="append", metavar="GROUP", help="a group of the device; may be repeated"
    )
    explain.add_argument("--json", action="store_true", help="answer for programs")
    explain.set_defaults(run=plan_commands.explain_event)


def _add_baseline(commands: _Commands, asks: ArgumentParser) -> None:
    words = "show what the account has of the security baseline, and plan what to deploy"
    baseline = commands.add_parser("baseline", parents=[asks], help=words, description=_sentence(words))
    baseline.add_argument("--html", default="", metavar="FILE", help="write the survey as a page, too")
    baseline.add_argument("--accept", action="append", default=[], metavar="KEY", help="a control or line to let pass")
    baseline.set_defaults(run=baseline_commands.show)
    kinds = baseline.add_subparsers(title="commands", metavar="COMMAND", dest="baseline_command")
    words = "propose the baseline's parameters for this account, with what each costs"
    plan = kinds.add_parser(
        "plan", help=words, description=f"{_sentence(words)} It reads the account; nothing changes."
    )
    plan.add_argument(
        "--stack", type=_stack, default="iot-baseline", metavar="NAME", help="the baseline's stack (iot-baseline)"
    )
    plan.add_argument("--region", default="", help="the region to look at (default: $AWS_REGION)")
    plan.add_argument("--profile", default="", help="the AWS profile to read with")
    plan.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="set a parameter of the template; repeatable"
    )
    plan.add_argument(
        "--assume",
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help="assume an amount for the costs; repeatable",
    )
    plan.add_argument("--write", default="", metavar="FILE", help="write the parameters: .json or .toml (sam deploy)")
    plan.add_argument("--json", action="store_true", help="answer for programs")
    plan.set_defaults(run=baseline_commands.plan)
    _add_roles(kinds)
    _add_narrow(kinds)
    _add_identities(kinds)


def _add_narrow(kinds: _Commands) -> None:
    words = "propose a narrower document for an AWS IoT policy, compared offline for a sample of its devices"
    narrow = kinds.add_parser(
        "narrow", help=words, description=f"{_sentence(words)} Nothing is written to AWS without --try-in-account."
    )
    narrow.add_argument("policy", metavar="POLICY")
    narrow.add_argument(
        "--topic", action="append", default=[], metavar="TOPIC", help="a topic that devices use: 'telemetry/{thing}/#'"
    )
    narrow.add_argument("--publish", action="append", default=[], metavar="TOPIC", help="the same, to publish on only")
    narrow.add_argument("--subscribe", action="append", default=[], metavar="TOPIC", help="the same, to receive only")
    narrow.add_argument(
        "--keep", action="append", default=[], metavar="RESOURCE", help="what stays as it is: 'rolealias/fleet'"
    )
    narrow.add_argument("--all", action="store_true", help="compare every device, not a sample")
    narrow.add_argument("--write", default="", metavar="FILE", help="write the document into a file")
    narrow.add_argument(
        "--try-in-account",
        action="store_true",
        help="have AWS IoT judge it as well: makes a policy, attached to nothing, and deletes it again",
    )
    narrow.add_argument("--region", default="", help="the policy's region (default: $AWS_REGION)")
    narrow.add_argument("--profile", default="", help="the AWS profile to use")
    narrow.add_argument("--json", action="store_true", help="answer for programs")
    narrow.set_defaults(run=baseline_commands.narrow)


def _add_roles(kinds: _Commands) -> None:
    words = "report what the roles behind role aliases may do, what CloudTrail saw them use, and what could go"
    roles = kinds.add_parser(
        "roles", help=words, description=f"{_sentence(words)} IAM Access Analyzer generates; IAM is not changed."
    )
    roles.add_argument(
        "--stack", type=_stack, default="iot-baseline", metavar="NAME", help="the baseline's stack (iot-baseline)"
    )
    roles.add_argument("--region", default="", help="the region of the role aliases (default: $AWS_REGION)")
    roles.add_argument("--profile", default="", help="the AWS profile to use")
    roles.add_argument("--trail", default="", metavar="ARN", help="the trail to read (default: one that is found)")
    roles.add_argument("--access-role", default="", metavar="ARN", help="the role that reads it (default: the stack's)")
    roles.add_argument("--days", type=int, default=90, metavar="N", help="how far to look back (90)")
    roles.add_argument("--in-region", action="append", default=[], metavar="REGION", help="only these regions' files")
    roles.add_argument("--again", action="append", default=[], metavar="ROLE", help="generate again for this role")
    roles.add_argument("--write", default="", metavar="FOLDER", help="write each role's generated policy into a file")
    roles.add_argument("--wait", action="store_true", help="follow the generations, one after another")
    roles.add_argument(
        "--timeout", type=_seconds, default=3600.0, metavar="S", help="for --wait: at most S seconds (3600)"
    )
    roles.add_argument("--poll", type=_seconds, default=20.0, metavar="S", help="for --wait: ask every S seconds (20)")
    roles.add_argument("--json", action="store_true", help="answer for programs")
    roles.set_defaults(run=baseline_commands.roles)


def _add_identities(kinds: _Commands) -> None:
    words = "report things with no certificate, with several, or with one that other things have as well"
    parser = kinds.add_parser("identities", help=words, description=f"{_sentence(words)} Nothing changes.")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--sample", type=_count, default=0, metavar="N", help="look at N things, drawn at random (400)")
    which.add_argument("--all", action="store_true", help="look at every thing")
    which.add_argument("--resume", default="", metavar="FILE", help="resume an interrupted run from its file")
    parser.add_argument("--region", default="", help="the region to look at (default: $AWS_REGION)")
    parser.add_argument("--profile", default="", help="the AWS profile to read with")
    parser.add_argument("--write", default="", metavar="FILE", help="write every finding: .csv or .json")
    parser.add_argument("--json", action="store_true", help="answer for programs")
    parser.set_defaults(run=baseline_commands.identities)


def _add_doctor(commands: _Commands, asks: ArgumentParser) -> None:
    words = "find what keeps findings from arriving or a response from working"
    parser = commands.add_parser(
        "doctor", parents=[asks], help=words, description=f"{_sentence(words)} Nothing changes."
    )
    parser.add_argument(
        "--stack", type=_stack, default="fleet-warden", metavar="NAME", help="the service's stack (fleet-warden)"
    )
    parser.add_argument("--all", action="store_true", help="look at every thing and group, not at a sample")
    parser.set_defaults(run=baseline_commands.doctor)


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def _stack(text: str) -> str:
    """Check a stack's name: for an invalid name, CloudFormation answers as for a missing stack."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,127}", text):
        raise ArgumentTypeError(f"{shown(text, 80)!r} is not the name of a stack")
    return text


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 10_000_000):
        raise ArgumentTypeError(f"{text!r} is not a number of things")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 1_000_000:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
