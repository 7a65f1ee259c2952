"""The page of an explanation."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from warden_cli.explanation import Answer, Explanation, RuleAnswer, RuleKey
from warden_cli.messages import Message
from warden_cli.terminal import facts, heading, plain, shown, word

_ANSWERS = {
    Answer.MATCHES: ("matches", "bold green"),
    Answer.NO: ("no", "dim"),
    Answer.CANNOT_TELL: ("cannot tell", "yellow"),
    Answer.NOT_REACHED: ("not reached", "dim"),
}


def print_no_finding(console: Console, message: Message) -> None:
    """Print why a message has no effect."""
    about = f"{message.detector}: " if message.detector else ""
    if message.refused:
        line = Text("Refused", style="bold red").append(f"  {shown(message.refused)}", style="default not bold")
        console.print(line)
        console.print(facts([("Reason", f"{about}{message.reason}")]))
        console.print(facts([("Then", "the refusal is on record; no case is opened, nothing is touched")]))
        return
    console.print(Text("Ignored", style="bold"))
    console.print(facts([("Reason", f"{about}{message.ignored}"), ("Then", "no case is opened, nothing is touched")]))


def print_explanation(console: Console, explanation: Explanation, plan_name: str) -> None:
    """Print the effect of a finding: the rule and why, the actions, the mode, the governor, and what is not known."""
    finding = explanation.finding
    console.print(plain(finding["title"], "bold", limit=300))
    console.print(facts(_finding(explanation)))
    if not finding["open"]:
        console.print(heading("What would be done"))
        console.print(facts(_end(explanation)))
        return
    console.print(heading(f"Rules of {shown(plan_name)}, the first that matches decides"))
    console.print(_rules(explanation))
    console.print(heading("What would be done"))
    console.print(facts(_done(explanation)))
    console.print(heading("What cannot be known from here"))
    for each in explanation.unknown:
        console.print(facts([("-", each)], names=1))


def _finding(explanation: Explanation) -> Iterator[tuple[str, Text | str]]:
    finding = explanation.finding
    yield "Source", finding["source"]
    yield "Kind", finding["kind"]
    yield "Subject", f"{finding['subject']['type']} {finding['subject']['name']}"
    yield "Severity", word(finding["severity"])
    said = [f"{name} {value}" for name, value in finding["attributes"].items() if value != finding["kind"]]
    for number, each in enumerate(said):
        yield "" if number else "Details", each


def _rules(explanation: Explanation) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold", ratio=1)
    for each in explanation.rules:
        words, style = _ANSWERS[each.answer]
        line = Text(each.rule, style="bold" if each.answer is Answer.MATCHES else "")
        line.append(f"  {words}", style=style)
        for why in _worth_saying(each):
            line.append(f"\n{shown(why)}", style="dim")
        table.add_row(f"  line {each.line}", line)
    return table


def _worth_saying(rule: RuleAnswer) -> Sequence[str]:
    """Keep only the source if it differs: further comparison is then pointless."""
    differs_in_source = any(each.key == RuleKey.SOURCE for each in rule.unmet)
    return rule.why[:1] if differs_in_source else rule.why


def _done(explanation: Explanation) -> Iterator[tuple[str, Text | str]]:
    yield "Actions", Text(", ".join(explanation.actions), style="bold")
    yield "Device", explanation.device
    if len(set(explanation.modes.values())) == 1 < len(explanation.modes):
        yield "Any mode", next(iter(explanation.modes.values()))
    else:
        yield from ((f"Mode={mode}", words) for mode, words in explanation.modes.items())
    if explanation.governor:
        yield "Governor", _governor(explanation)
    for number, limit in enumerate(explanation.limits):
        yield "" if number else "Limits", limit


def _governor(explanation: Explanation) -> Text:
    if explanation.allowed is None:
        return plain(explanation.governor)
    if explanation.allowed:
        return plain(f"allows it: {explanation.governor}, as long as they are not used up")
    return plain(f"forbids it: {explanation.governor}", "bold red")


def _end(explanation: Explanation) -> Iterator[tuple[str, Text | str]]:
    yield "It is over", f"{explanation.finding['ending']}; no rule is asked"
    yield "Open case", "closed, if there is one and its device is not restricted"
    yield "Restricted", "stays so until somebody releases it; the case says that the finding is over"
    yield "No case", "none is opened"
