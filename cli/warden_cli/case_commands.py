"""The commands that ask the service: about cases, about one decision, about the switch."""

from argparse import Namespace
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from warden.cases.model import is_case_id
from warden_cli.case_pages import print_case, print_cases, print_entry
from warden_cli.client import Service
from warden_cli.errors import Exit, NotReached
from warden_cli.log_commands import logs_of_thing
from warden_cli.responses import Case, case_file_in, cases_in, understood
from warden_cli.terminal import as_json, pasted, print_command, shown, word
from warden_cli.watch import Awaited, Ending, follow


def cases(arguments: Namespace, console: Console) -> Exit:
    """List the open cases, or all of them."""
    service = _service(arguments)
    wanted = {name: value for name in ("state", "thing") if (value := getattr(arguments, name))}
    answers = [service.ask("cases", **wanted)]
    if arguments.all and not wanted:
        answers.append(service.ask("cases", state="closed"))
    answer = _together(answers)
    if not arguments.all and not arguments.state:
        answer["cases"] = [each for each in answer["cases"] if each.get("state") != "closed"]
    if arguments.json:
        console.out(as_json(answer))
        return Exit.DONE
    listed = understood(cases_in, answer)
    print_cases(console, listed, datetime.now(UTC), more=bool(answer.get("more")), asked=_asked(arguments))
    return Exit.DONE


def _together(answers: list[Mapping[str, Any]]) -> dict[str, Any]:
    found = [each for answer in answers for each in understood(_listed, answer)]
    found.sort(key=lambda case: str(case.get("openedAt")), reverse=True)
    return {"cases": found, "more": any(answer.get("more") for answer in answers)}


def _listed(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [dict(each) for each in answer["cases"]]


def _asked(arguments: Namespace) -> str:
    which = f"{arguments.state} cases" if arguments.state else "cases" if arguments.all else "open cases"
    return f"{which} of {shown(arguments.thing)}" if arguments.thing else which


def show(arguments: Namespace, console: Console) -> Exit:
    """Show one case with its timeline."""
    answer = _service(arguments).ask("show", case=arguments.case)
    if arguments.json:
        console.out(as_json(answer))
    else:
        print_case(console, understood(case_file_in, answer), datetime.now(UTC))
    return Exit.DONE


def decide(arguments: Namespace, console: Console) -> Exit:
    """Send a decision to the service and, with --wait, follow it to its end."""
    service = _service(arguments)
    decision = arguments.command
    if decision == "release" and arguments.keep_certificate:
        decision = "release-keeping-certificate"
    before = understood(case_file_in, service.ask("show", case=arguments.case)) if arguments.wait else None
    accepts = {"acceptChanges": True} if getattr(arguments, "accept_changes", False) else {}
    answer = service.ask(decision, case=arguments.case, why=arguments.why, **accepts)
    if before is None:
        if arguments.json:
            console.out(as_json(answer))
        else:
            console.print(f"Queued: {decision} of case {shown(arguments.case)}, as {shown(str(answer.get('who', '')))}")
            console.print(Text(f"Follow it with: warden show {shown(arguments.case)}", style="dim"))
        return Exit.DONE
    awaited = Awaited(
        case=arguments.case,
        decision=decision,
        request=str(answer.get("request", "")),
        lines_before=len(before.timeline),
    )
    with console.status(f"{decision}: waiting for {shown(before.case.device)}"):
        ending = follow(
            service,
            awaited,
            lambda entry: None if arguments.json else print_entry(console, entry),
            seconds=arguments.timeout,
            pause=arguments.poll,
        )
    return _ended(ending, arguments, console)


def collect_logs(arguments: Namespace, console: Console) -> Exit:
    """Collect the logs of a case's device, or of a thing; without --thing, a name like a case id is a case."""
    if is_case_id(arguments.case) and not arguments.thing:
        return decide(arguments, console)
    return logs_of_thing(_service(arguments), arguments, console)


def _ended(ending: Ending, arguments: Namespace, console: Console) -> Exit:
    if arguments.json:
        console.out(as_json({"case": ending.file.case.id, "state": ending.file.case.state, "wrong": ending.wrong}))
    else:
        console.print()
        console.print(_said_of(ending.file.case))
    if not ending.went_wrong:
        return Exit.DONE
    if not arguments.json:
        console.print(Text(ending.complaint, style="bold red"))
    return Exit.REFUSED


def _said_of(case: Case) -> Text:
    line = Text(f"Case {shown(case.id)} is ").append_text(word(case.state))
    return line.append(f" ({shown(case.resolution)})" if case.resolution else "").append(".")


def find(arguments: Namespace, console: Console) -> Exit:
    """Report a device: the finding is handled like any other, by the plan and within the limits."""
    words = {"thing": arguments.thing, "kind": arguments.kind, "severity": arguments.severity, "why": arguments.why}
    answer = _service(arguments).ask("find", **words)
    if arguments.json:
        console.out(as_json(answer))
        return Exit.DONE
    console.print(Text(f"Reported {shown(str(answer.get('thing', '')))}", style="bold green"))
    console.print("The plan decides what is done. The case:")
    print_command(console, f"warden cases --thing {pasted(str(answer.get('thing', '')))}")
    console.print(Text(f"As {shown(str(answer.get('who', '')))}", style="dim"))
    return Exit.DONE


def stop(arguments: Namespace, console: Console) -> Exit:
    """Stop the service: no finding touches a device any more."""
    return _switch(_service(arguments).ask("stop", why=arguments.why), arguments, console)


def resume(arguments: Namespace, console: Console) -> Exit:
    """Release the kill switch."""
    return _switch(_service(arguments).ask("resume", why=arguments.why), arguments, console)


def _switch(answer: Mapping[str, Any], arguments: Namespace, console: Console) -> Exit:
    if arguments.json:
        console.out(as_json(answer))
        return Exit.DONE
    if not isinstance(answer.get("stopped"), bool):
        raise NotReached("the service does not say whether it is stopped; read the log of the function `operate`")
    if answer["stopped"]:
        console.print(Text("Stopped", style="bold red"))
        console.print("No finding touches a device until `warden resume`. Findings still become cases, which are held.")
    else:
        console.print(Text("Resumed", style="bold green"))
        console.print("The plan acts again. What was held stays so until you approve or dismiss it.")
    console.print(Text("warden cases --state held", style="bold"))
    console.print(Text(f"As {shown(str(answer.get('who', '')))}", style="dim"))
    return Exit.DONE


def _service(arguments: Namespace) -> Service:
    return Service(arguments.url, region=arguments.region, profile=arguments.profile)
