"""CloudFormation's create, update and delete of one stack in an account, with the handlers of `handlers`.

Deletion policies follow AWS's own page: RetainExceptOnCreate is Retain, except in the rollback of the operation that
made the resource. A rollback of an update calls the update handler again with the previous properties.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.baseline.account import Account, HandlerError
from tests.baseline.evaluation import Evaluation, Made
from tests.baseline.handlers import HANDLERS, Properties


class StackFailedError(Exception):
    """Raised when an operation was refused by a handler and rolled back."""

    def __init__(self, logical: str, why: HandlerError) -> None:
        """Name the resource that failed, as the stack's events do."""
        super().__init__(f"{logical}: {why}")
        self.logical = logical


@dataclass(frozen=True)
class Resource:
    """A resource that the stack made."""

    kind: str
    made: Made
    properties: Properties
    deletion: str
    needs: frozenset[str]


@dataclass
class Stack:
    """One stack."""

    account: Account
    backwards: bool = False
    """Make what could be made at the same time in the other order."""
    resources: dict[str, Resource] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    _count: int = 0

    def create(self, template: Mapping[str, Any], **parameters: str) -> None:
        """Create it.

        Raises:
            TemplateError: nothing was made.
            StackFailedError: what had been made is rolled back.
        """
        self.update(template, **parameters)

    def update(self, template: Mapping[str, Any], **parameters: str) -> None:
        """Update it: change and make, and only then take away what is no longer there.

        Raises:
            TemplateError: nothing was changed.
            StackFailedError: what had been changed is rolled back.
        """
        plan = Evaluation(_turned(template) if self.backwards else template, parameters, self.account.place)
        wanted = plan.resources()
        before = dict(self.resources)
        for logical, resource in wanted.items():
            try:
                self._apply(plan, logical, resource)
            except HandlerError as why:
                self._roll_back(before)
                raise StackFailedError(logical, why) from why
        for logical in _last_first(self.resources):
            if logical not in wanted:
                self._take_away(logical)
        self.outputs = plan.outputs(self._made())

    def delete(self) -> None:
        """Delete it."""
        for logical in _last_first(self.resources):
            self._take_away(logical)

    def _made(self) -> dict[str, Made]:
        return {logical: resource.made for logical, resource in self.resources.items()}

    def _apply(self, plan: Evaluation, logical: str, resource: Mapping[str, Any]) -> None:
        kind = resource["Type"]
        properties = plan.properties(logical, self._made())
        there = self.resources.get(logical)
        if there is None:
            self._count += 1
            name = f"{self.account.place.stack}-{logical}-{self._count}"
            self.account.calls.append(("create", kind))
            made = HANDLERS[kind].create(self.account, name, properties)
        else:
            made = there.made
            self._change(kind, there, properties)
        deletion = resource.get("DeletionPolicy", "Delete")
        self.resources[logical] = Resource(kind, made, properties, deletion, frozenset(plan.needs(logical)))

    def _change(self, kind: str, there: Resource, properties: Properties) -> None:
        changed = {
            name for name in {*there.properties, *properties} if there.properties.get(name) != properties.get(name)
        }
        assert not changed & set(HANDLERS[kind].create_only), "a replacement is not played here"
        if changed:
            self.account.calls.append(("update", kind))
            HANDLERS[kind].update(self.account, there.made.ref, properties)

    def _roll_back(self, before: Mapping[str, Resource]) -> None:
        for logical in _last_first(self.resources):
            resource = self.resources[logical]
            if logical not in before:
                self._remove(logical, keep=resource.deletion == "Retain")
            elif before[logical].properties != resource.properties:
                self._change(resource.kind, resource, before[logical].properties)
                self.resources[logical] = before[logical]

    def _take_away(self, logical: str) -> None:
        self._remove(logical, keep=self.resources[logical].deletion in ("Retain", "RetainExceptOnCreate"))

    def _remove(self, logical: str, *, keep: bool) -> None:
        resource = self.resources.pop(logical)
        if not keep:
            self.account.calls.append(("delete", resource.kind))
            HANDLERS[resource.kind].delete(self.account, resource.made.ref)


def _turned(template: Mapping[str, Any]) -> dict[str, Any]:
    return {**template, "Resources": dict(reversed(template["Resources"].items()))}


def _last_first(resources: Mapping[str, Resource]) -> list[str]:
    """Order for deletion: whatever needs a resource goes before it."""
    ordered: list[str] = []

    def put(logical: str) -> None:
        for other, resource in resources.items():
            if logical in resource.needs and other not in ordered:
                put(other)
        if logical not in ordered:
            ordered.append(logical)

    for logical in reversed(list(resources)):
        put(logical)
    return ordered
