"""The memory that taking in an audit needs, measured in a process of its own."""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from importlib import import_module
from multiprocessing import get_context
from time import process_time

from tests.fakes import FakeDetectors, a_world
from warden.core.ports import AuditPage, QueueEntry
from warden.ingest.detectors import Envelope
from warden.ingest.intake import ingest

CHECK = "DEVICE_CERTIFICATE_EXPIRING_CHECK"
PAGE = 250
"""As many as Device Defender lists at once."""


@dataclass(frozen=True)
class AuditMemory:
    """The most memory that was resident at once."""

    findings: int
    before_mb: float
    peak_mb: float
    cpu_s: float


class LongAudit(FakeDetectors):
    """An audit with any number of findings, each made when its page is asked for."""

    def __init__(self, findings: int) -> None:
        super().__init__()
        self._findings = findings

    def audit_page(self, task_id: str, check: str, page: str) -> AuditPage:
        begin = int(page or "0")
        end = min(begin + PAGE, self._findings)
        found = [
            {
                "findingId": f"finding-{number}",
                "taskId": task_id,
                "checkName": check,
                "findingTime": "2026-11-22T11:58:00+00:00",
                "severity": "MEDIUM",
                "reasonForNonCompliance": "Certificate is approaching its expiration.",
                "reasonForNonComplianceCode": "CERTIFICATE_APPROACHING_EXPIRATION",
                "nonCompliantResource": {
                    "resourceType": "DEVICE_CERTIFICATE",
                    "resourceIdentifier": {"deviceCertificateId": sha256(str(number).encode()).hexdigest()},
                    "additionalInfo": {"EXPIRATION_TIME": "1796119200000"},
                },
                "relatedResources": [],
            }
            for number in range(begin, end)
        ]
        return AuditPage(found, str(end) if end < self._findings else "")


class CountingQueue:
    """Counts what is queued and forgets it, as sending it to SQS would."""

    def __init__(self) -> None:
        self.put = 0

    def put_all(self, entries: Sequence[QueueEntry]) -> None:
        """Write each as it would be sent."""
        self.put += len([json.dumps(entry.message) for entry in entries])


def measure(findings: int) -> AuditMemory:
    """Take an audit in, in a new process."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_ingest, findings).result()


def _ingest(findings: int) -> AuditMemory:
    import_module("boto3")  # the function has it loaded, and it is the biggest part of what it has
    world, queue = a_world(), CountingQueue()
    context = replace(world.context, ports=replace(world.context.ports, detectors=LongAudit(findings), queue=queue))
    details = [{"checkName": CHECK, "checkRunStatus": "COMPLETED_NON_COMPLIANT", "totalResourcesCount": findings}]
    report = {"taskId": "audit-1", "taskStatus": "COMPLETED", "auditDetails": details}
    envelope = Envelope(message_id="m-1", received_at=world.clock(), account="000000000000", region="us-east-1")
    before, begin = _peak_mb(), process_time()
    waiting = [json.dumps(report)]
    while waiting:
        took = ingest(waiting.pop(), envelope, context, lambda: timedelta(hours=1))
        if took.refused:
            raise RuntimeError(took.refused)
        waiting += world.inbox.bodies
        world.inbox.bodies.clear()
    if queue.put != findings or world.refusals:
        raise RuntimeError(f"{queue.put} of {findings} findings were queued; refused: {world.refusals[:3]}")
    return AuditMemory(findings, before, _peak_mb(), process_time() - begin)


def _peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
