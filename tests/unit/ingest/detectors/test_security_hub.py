from __future__ import annotations

import pytest

from tests.unit.ingest.detectors.samples import findings_of, the_finding_of
from warden.core.findings import Source


def test_a_violation_by_way_of_the_hub_is_the_same_problem() -> None:
    direct, hub = the_finding_of("detect-violation-in-alarm"), the_finding_of("security-hub-detect")

    assert hub.source is Source.DETECT
    assert hub.problem == direct.problem
    assert (hub.id, hub.severity, hub.observed_at) == (direct.id, direct.severity, direct.observed_at)
    assert hub.attributes == {**direct.attributes, "via": "security-hub"}


def test_an_archived_violation_closes_the_same_problem() -> None:
    hub = the_finding_of("security-hub-detect-archived")

    assert not hub.is_open
    assert hub.ending == "alarm-cleared"
    assert hub.problem == the_finding_of("detect-violation-in-alarm").problem


@pytest.mark.parametrize(("place", "sample"), [(0, "audit-finding"), (1, "audit-finding-certificate")])
def test_an_audits_finding_by_way_of_the_hub_is_the_same_problem(place: int, sample: str) -> None:
    direct, hub = the_finding_of(sample), findings_of("security-hub-audit")[place]

    assert hub.source is Source.AUDIT
    assert hub.problem == direct.problem
    assert (hub.id, hub.severity) == (direct.id, direct.severity)
    assert hub.attributes == {**direct.attributes, "via": "security-hub"}


def test_the_summary_of_a_check_is_no_finding() -> None:
    assert findings_of("security-hub-check-summary") == []
