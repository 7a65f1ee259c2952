"""What one delivery has read of a thing, so that its steps need not ask AWS IoT for it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from warden.context import Context
from warden.core.ports import HasRegistry, Thing
from warden.plan.model import Plan

_A_MOMENT = timedelta(seconds=10)


@dataclass
class DeviceView:
    """A thing as it was read at `at`. Its certificates and the things that those reach are read when first needed."""

    thing: Thing
    at: datetime
    certificates: Sequence[str] | None = None
    affected: Sequence[Thing] | None = None

    def is_recent(self, now: datetime) -> bool:
        """Whether it was read just now; after long throttling it is read again."""
        return now - self.at <= _A_MOMENT


def read_device(name: str, context: Context[HasRegistry]) -> DeviceView | None:
    """Read a thing, and its type only if the plan asks for types; None when there is no such thing."""
    at = context.now()
    thing = context.ports.registry.thing(name, with_type=_asks_for_types(context.plan))
    return None if thing is None else DeviceView(thing, at)


def affected_by(view: DeviceView, context: Context[HasRegistry]) -> Sequence[Thing]:
    """List every thing that a change of this one's certificates reaches, itself first."""
    if view.affected is None:
        registry = context.ports.registry
        view.certificates = registry.certificates_of(view.thing.name)
        names = {other for certificate in view.certificates for other in registry.things_of(certificate)}
        others = (read_device(name, context) for name in sorted(names - {view.thing.name}))
        view.affected = [view.thing, *(other.thing for other in others if other is not None)]
    return view.affected


def _asks_for_types(plan: Plan) -> bool:
    return bool(plan.never_touch.thing_types) or any(rule.thing_type for rule in plan.rules)
