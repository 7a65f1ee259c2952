"""The report on a narrower policy: what changes, what the sample loses, and the conclusion."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from warden.core import quotas
from warden.core.account_facts import Read
from warden_cli.baseline_proposal import is_unread, why_unread
from warden_cli.errors import Exit
from warden_cli.narrow_account import IotPolicy, Reach
from warden_cli.narrow_comparison import Comparison, Probe
from warden_cli.narrow_proposal import Proposal, Verdict
from warden_cli.narrow_trial import Trial
from warden_cli.terminal import pasted

_PROVISIONING = ("$aws/provisioning-templates/", "$aws/certificates/create")
"""Topics of fleet provisioning. AWS IoT Core Developer Guide, "Device provisioning MQTT API"."""


@dataclass(frozen=True, kw_only=True)
class Narrowing:
    """All that was found out."""

    policy: IotPolicy
    proposal: Proposal
    reach: Read[Reach]
    comparisons: Sequence[Comparison]
    trial: Trial | None = None
    file: str = ""
    """Where the document is written, once it may be used."""

    @property
    def lost(self) -> Mapping[Probe, list[str]]:
        """By probe: the devices that could before and cannot after. A device without a thing is its certificate."""
        found: dict[Probe, list[str]] = {}
        for each in self.comparisons:
            for probe in each.lost:
                found.setdefault(probe, []).append(each.device.thing or each.device.certificate)
        return found

    @property
    def without_thing(self) -> list[str]:
        """The certificates without a thing, for which the thing's name has no value."""
        return [each.device.certificate for each in self.comparisons if not each.device.thing]

    @property
    def has_things(self) -> bool:
        """Whether any device of the sample is a thing: only then can AWS IoT be asked."""
        return len(self.without_thing) < len(self.comparisons)

    @property
    def can_be_taken(self) -> bool:
        """Whether there is a proposal to use, and nothing against it."""
        return self.proposal.is_narrower and not self.refusals

    @property
    def refusals(self) -> list[str]:
        """Why the proposal cannot be taken."""
        found = []
        if self.proposal.characters > quotas.POLICY_CHARACTERS:
            found.append(
                f"it has {self.proposal.characters} characters and AWS IoT takes {quotas.POLICY_CHARACTERS}: give "
                "fewer topics, or split it into two policies (a certificate can have ten)"
            )
        if self.trial:
            found += [f"AWS IoT would allow what it does not today: {each}" for each in self.trial.gained]
            found += [f"AWS IoT judges otherwise than the comparison: {each}" for each in self.trial.disagreements]
        return found

    @property
    def doubts(self) -> list[str]:
        """What to check before the proposal is used."""
        found = [f"{each.action} stays on {each.resource}: {each.why}" for each in self._kept]
        found += [f"{each} is not allowed today, and a narrower policy adds nothing" for each in self.proposal.unused]
        found += [
            f"the denial of {each}: + and # are plain characters in a policy, so other filters get around it"
            for each in self.proposal.literal_denials
        ]
        if self._provisions and self._connects_as_things:
            found.append(
                "it lets devices be provisioned, which are not things yet and could not connect any more: "
                "--keep 'client/*', or give the claim certificates a policy of their own"
            )
        if self.without_thing:
            found.append(
                f"{len(self.without_thing)} certificates of the sample have no thing, so what is bound to a thing's "
                "name is not theirs: attach their things first (aws iot attach-thing-principal)"
            )
        if is_unread(self.reach):
            found.append(f"the devices that it reaches: {why_unread(self.reach)}; nothing was compared")
        elif self.reach.not_devices:
            found.append(f"{len(self.reach.not_devices)} targets are identities of Cognito, which are not compared")
        elif not self.comparisons:
            found.append("it is attached to nothing, so nothing was compared")
        return found

    @property
    def _kept(self) -> list[Any]:
        return [each for each in self.proposal.changes if each.verdict is Verdict.KEPT]

    @property
    def _provisions(self) -> bool:
        """Whether the proposal still allows fleet provisioning, which begins before there is a thing."""
        text = json.dumps(self.proposal.document)
        return any(each in text for each in _PROVISIONING)

    @property
    def _connects_as_things(self) -> bool:
        """Whether connecting was limited to things, and nothing wider is kept."""
        connects = [each for each in self.proposal.changes if each.action == "iot:Connect"]
        narrowed = [each for each in connects if each.verdict is Verdict.NARROWED]
        return bool(narrowed) and not any(each.kept for each in connects)

    @property
    def exit(self) -> Exit:
        """The command's exit code."""
        if self.refusals:
            return Exit.REFUSED
        return Exit.FOUND if self.doubts else Exit.DONE

    @property
    def how_to_take(self) -> list[str]:
        """The commands that make it the policy's default version."""
        name = self.policy.name
        document = pasted(f"file://{self.file or 'FILE'}")
        delete = f"aws iot delete-policy-version --policy-name {name} --policy-version-id"
        return [
            *([f"{delete} {self.policy.others[0]}"] if self.policy.is_full else []),
            f"aws iot create-policy-version --policy-name {name} --set-as-default --policy-document {document}",
        ]

    @property
    def how_to_go_back(self) -> str:
        """The command that makes the present version the default again."""
        name, version = self.policy.name, self.policy.version
        return f"aws iot set-default-policy-version --policy-name {name} --policy-version-id {version}"

    def as_json(self) -> dict[str, Any]:
        """Return the report for programs."""
        reach = None if is_unread(self.reach) else self.reach
        return {
            "policy": self.policy.name,
            "version": self.policy.version,
            "other_versions": [*self.policy.others],
            "narrower": self.proposal.is_narrower,
            "document": self.proposal.document,
            "characters": self.proposal.characters,
            "changes": [
                {**vars(each), "becomes": [*each.becomes], "kept": [*each.kept]} for each in self.proposal.changes
            ],
            "compared": {
                "devices": len(self.comparisons),
                "all": reach.is_all if reach else None,
                "targets": reach.targets if reach else None,
                "not_known": why_unread(self.reach) if is_unread(self.reach) else "",
            },
            "devices": [
                {
                    "thing": each.device.thing,
                    "certificate": each.device.certificate,
                    "policies": [*each.device.documents],
                    "lost": [{"action": probe.action, "resource": each.resource(probe)} for probe in each.lost],
                    "gained": [{"action": probe.action, "resource": each.resource(probe)} for probe in each.gained],
                }
                for each in self.comparisons
            ],
            "trial": vars(self.trial) if self.trial else None,
            "refusals": self.refusals,
            "doubts": self.doubts,
            "take": self.how_to_take,
            "back": self.how_to_go_back,
            "file": self.file,
        }
