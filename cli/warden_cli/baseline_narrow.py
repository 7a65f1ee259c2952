"""`warden baseline narrow`: a narrower document for an AWS IoT policy, compared for the devices that it reaches."""

from __future__ import annotations

import json
import re
import time
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from warden.core import quotas
from warden.core.throttle import RateLimiter
from warden_cli.baseline_narrow_page import print_narrowing
from warden_cli.baseline_proposal import is_unread, why_unread
from warden_cli.errors import BadUsage, Exit, Refused
from warden_cli.narrow_account import policy_named, reach_of
from warden_cli.narrow_comparison import Comparer, probes_for
from warden_cli.narrow_proof import unproven
from warden_cli.narrow_proposal import Topic, Wishes, propose
from warden_cli.narrow_report import Narrowing
from warden_cli.narrow_trial import tried
from warden_cli.reading import account_of, session_of
from warden_cli.terminal import as_json, heading, plain, shown

_NEEDS_A_POLICY = "Attach docs/baseline-narrow-policy.json to your role, or ask again where AWS did not answer."


def narrow_policy(arguments: Namespace, console: Console) -> Exit:
    """Propose a narrower document, compare it and write it. Nothing is written to AWS without --try-in-account."""
    wishes = Wishes(topics=[*_topics(arguments)], keep=[_resource(each) for each in arguments.keep])
    if not re.fullmatch(quotas.POLICY_NAME, arguments.policy):
        raise BadUsage(f"{shown(arguments.policy, 80)} is not the name of a policy")
    session = session_of(arguments.region, arguments.profile)
    account_of(session)
    policy = policy_named(session, arguments.policy)
    if is_unread(policy):
        return _unknown(why_unread(policy), arguments, console)
    pace = RateLimiter(quotas.PRINCIPAL_LOOKUPS_PER_SECOND / 2, time.monotonic, time.sleep)
    reach = reach_of(session, policy.name, pace, every=arguments.all)
    proposal = propose(policy.document, policy.prefix, wishes)
    probes = probes_for([policy.document, proposal.document], policy.prefix, wishes.topics)
    devices = [] if is_unread(reach) else reach.devices
    comparer = Comparer(policy=policy.name, after=proposal.document, prefix=policy.prefix, probes=probes)
    comparisons = comparer.compare(devices)
    found = Narrowing(policy=policy, proposal=proposal, reach=reach, comparisons=comparisons)
    _check_nothing_is_gained(found)
    if arguments.try_in_account and found.can_be_taken and found.has_things:
        found = replace(found, trial=tried(session, comparer, comparisons, pace))
    if arguments.write and found.can_be_taken:
        found = replace(found, file=_written(arguments.write, found))
    if arguments.json:
        console.out(as_json(found.as_json()))
    else:
        print_narrowing(console, found)
    return found.exit


def _check_nothing_is_gained(found: Narrowing) -> None:
    """Refuse what is not shown to be narrower: by its statements, and by every device of the sample."""
    new = unproven(found.policy.document, found.proposal.document)
    new += [f"{each.action} on {one.resource(each)}" for one in found.comparisons for each in one.gained]
    if new:
        raise Refused(f"it cannot be shown that the proposal allows nothing new: {shown('; '.join(new), 600)}")


def _topics(arguments: Namespace) -> Iterator[Topic]:
    yield from (Topic(text=_topic(each)) for each in arguments.topic)
    yield from (Topic(text=_topic(each), subscribes=False) for each in arguments.publish)
    yield from (Topic(text=_topic(each), publishes=False) for each in arguments.subscribe)


def _topic(text: str) -> str:
    """Check a topic as MQTT writes it: `+` is a level of its own, `#` the last one."""
    levels = text.replace("{thing}", "thing").split("/")
    is_filter = all(each in ("+", "#") or not set(each) & {"+", "#"} for each in levels) and "#" not in levels[:-1]
    if not text or not is_filter or set(text.replace("{thing}", "")) & set("*?{}"):
        words = "an MQTT topic or filter, in which {thing} is the device's name; + and # are its wildcards, not * and ?"
        raise BadUsage(f"{shown(text, 80)}: give {words}")
    return text


def _resource(text: str) -> str:
    if "/" not in text or text.startswith("arn:"):
        raise BadUsage(f"--keep {shown(text, 80)}: give a resource of the policy without its ARN, as topic/plant/*")
    return text


def _written(file: str, found: Narrowing) -> str:
    try:
        Path(file).write_text(f"{json.dumps(found.proposal.document, indent=2)}\n", encoding="utf-8")
    except OSError as error:
        raise BadUsage(f"cannot write {shown(file)}: {shown(error.strerror or str(error))}") from error
    return file


def _unknown(why: str, arguments: Namespace, console: Console) -> Exit:
    if arguments.json:
        console.out(as_json({"policy": arguments.policy, "not_known": why}))
    else:
        console.print(plain(arguments.policy, "bold"))
        console.print(heading("Not known"))
        console.print(plain(f"{why}. {_NEEDS_A_POLICY}"))
    return Exit.FOUND
