"""Coverage: which rules match everything that a later rule would."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from warden.core.findings import Severity
from warden.plan.model import Rule


def takes_everything(rule: Rule) -> bool:
    """Check whether a rule has no condition."""
    conditions = (rule.source, rule.kind, rule.attributes, rule.thing_type, rule.thing_group)
    return not any(conditions) and rule.severity is Severity.LOW


def shadowed(rules: Sequence[Rule]) -> Iterator[tuple[Rule, Rule]]:
    """List each rule that is never reached, with the earlier rule that covers it."""
    for place, later in enumerate(rules):
        for earlier in rules[:place]:
            if _covers_rule(earlier, later):
                yield later, earlier
                break


def _covers_rule(earlier: Rule, later: Rule) -> bool:
    return (
        _covers(earlier.source, later.source)
        and _covers(earlier.kind, later.kind)
        and earlier.severity.rank <= later.severity.rank
        and all(_covers(globs, later.attributes.get(name, ())) for name, globs in earlier.attributes.items())
        and _covers(earlier.thing_type, later.thing_type)
        and _covers(earlier.thing_group, later.thing_group)
    )


def _covers(wide: Sequence[str], narrow: Sequence[str]) -> bool:
    """Check whether `wide` certainly matches everything that `narrow` matches; False when unsure."""
    if not wide:
        return True
    return bool(narrow) and all(any(_covers_glob(other, glob) for other in wide) for glob in narrow)


def _covers_glob(wide: str, narrow: str) -> bool:
    """Check whether one glob covers another. With `?` or `[` it is not trusted to cover other wildcards."""
    if wide in ("*", narrow):
        return True
    is_text = not set("*?[") & set(narrow)
    return fnmatchcase(narrow, wide) and (is_text or (not set("?[]") & set(wide) and "[" not in narrow))
