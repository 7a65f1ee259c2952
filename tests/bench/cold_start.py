"""What a cold start costs over bare boto3: each function's imports and first clients, against boto3 making the same.

Every start is a process of its own, ours and boto3's in turn, so that a busy machine slows both. CPU time is compared,
for what else runs beside a bench is nobody's cold start. The interpreter's own start is in neither.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bench.report import Bench, Row

ROOT = Path(__file__).parents[2]
STARTS = 9
MOST_RATIO = 1.25
MOST_MB = 250
"""Lambda's own limit for a function with all its layers, unzipped."""

PORTS: Mapping[str, Mapping[str, str]] = {
    "ledger": {"dynamodb": "read"},
    "registry": {"iot": "thing"},
    "connections": {"iot-data": "disconnect"},
    "replies": {"iot-data": "publish"},
    "queue": {"sqs": "put_all"},
    "notices": {"sns": "send"},
    "announcements": {"events": "publish"},
    "evidence": {"s3": "uploaded"},
    "reports": {"s3": "keep"},
}
"""The client behind each port, and a method of the port that is looked up to have it made."""

USES: Mapping[str, Sequence[str]] = {
    "ingest": ("queue",),
    "respond": ("ledger", "registry", "connections", "notices", "announcements"),
    "serve_device": ("ledger", "registry", "replies"),
    "track_device": ("ledger", "queue"),
    "sweep_cases": ("ledger", "queue"),
    "sweep_certificates": ("ledger", "registry", "queue", "reports", "notices"),
    "operate": ("ledger", "queue"),
    "survey_account": ("ledger", "reports"),
    "set_up_account": (),
}
"""What each function uses on its ordinary way; `set_up_account` makes its one client by itself."""

_OURS = """
import json, resource, sys, time
begin, wall = time.process_time(), time.perf_counter()
sys.path[:0] = json.loads(sys.argv[1])
import app
from warden import bootstrap
for port, method in json.loads(sys.argv[2]):
    getattr(getattr(bootstrap.context().ports, port), method)
if not json.loads(sys.argv[2]):
    bootstrap.account_settings()
"""
_BARE = """
import json, resource, sys, time
begin, wall = time.process_time(), time.perf_counter()
import boto3
for name in json.loads(sys.argv[2]):
    boto3.client(name, region_name="us-east-1")
"""
_TELL = """
took = {"cpu_ms": (time.process_time() - begin) * 1000, "wall_ms": (time.perf_counter() - wall) * 1000}
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps(took | {"peak_mb": peak / (1024 * 1024 if sys.platform == "darwin" else 1024)}))
"""

_ENVIRONMENT = {
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_LAMBDA_FUNCTION_NAME": "fleet-warden",
    "POWERTOOLS_SERVICE_NAME": "fleet-warden",
    "POWERTOOLS_METRICS_NAMESPACE": "FleetWarden",
    "WARDEN_ACCOUNT": "000000000000",
    "WARDEN_PARTITION": "aws",
    "WARDEN_LEDGER_TABLE": "ledger",
    "WARDEN_CASE_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/000000000000/cases.fifo",
    "WARDEN_INBOX_URL": "https://sqs.us-east-1.amazonaws.com/000000000000/inbox",
    "WARDEN_RENEWAL_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/000000000000/renewals",
    "WARDEN_EVIDENCE_BUCKET": "evidence",
    "WARDEN_NOTICES_TOPIC": "arn:aws:sns:us-east-1:000000000000:notices",
    "WARDEN_RESTRICTED_GROUP": "restricted",
    "WARDEN_RESTRICTED_POLICY": "restricted",
}


@dataclass(frozen=True)
class ColdStart:
    """The least of one function's starts and of bare boto3's beside them: whatever else the machine does only adds."""

    function: str
    clients: Sequence[str]
    ours_ms: float
    boto3_ms: float
    ratio: float
    ours_wall_ms: float
    peak_mb: float


def measure(function: str, starts: int = STARTS) -> ColdStart:
    """Start a function and bare boto3 in turn; the first of each fills the caches and does not count."""
    uses = [(port, next(iter(PORTS[port].values()))) for port in USES[function]]
    clients = list(dict.fromkeys(next(iter(PORTS[port])) for port in USES[function])) or ["iot"]
    paths = [f"functions/{function}", "layers/warden", "layers/plan/python", "layers/pages"]
    ours, bare = [], []
    for _ in range(starts + 1):
        ours.append(_start(_OURS, [str(ROOT / path) for path in paths], uses))
        bare.append(_start(_BARE, [], clients))
    mine, theirs = min(each["cpu_ms"] for each in ours[1:]), min(each["cpu_ms"] for each in bare[1:])
    return ColdStart(
        function=function,
        clients=clients,
        ours_ms=round(mine, 1),
        boto3_ms=round(theirs, 1),
        ratio=round(mine / theirs, 3),
        ours_wall_ms=round(min(each["wall_ms"] for each in ours[1:]), 1),
        peak_mb=round(max(each["peak_mb"] for each in ours), 1),
    )


def _start(script: str, paths: Sequence[str], uses: Sequence[Any]) -> dict[str, float]:
    command = [sys.executable, "-c", script + _TELL, json.dumps(paths), json.dumps(uses)]
    environment = {"PATH": os.environ["PATH"], **_ENVIRONMENT}
    done = subprocess.run(  # noqa: S603 - our own script
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def layer_mb(build: Path) -> float:
    """Weigh the layer as it is deployed: what `sam build` left, else the pinned requirements and our own package."""
    built = ROOT / ".aws-sam" / "build" / "WardenLayer"
    if built.is_dir():
        return _weight_mb(built)
    if not (build / "boto3").is_dir():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", str(build)]
        pinned = str(ROOT / "layers" / "warden" / "requirements.txt")
        subprocess.run([*pip, "--requirement", pinned], check=True)  # noqa: S603 - our own pins
    return _weight_mb(build) + _weight_mb(ROOT / "layers" / "warden" / "warden")


def _weight_mb(path: Path) -> float:
    """Weigh a folder's files, without the bytecode that Python writes beside them."""
    files = (each for each in path.rglob("*") if each.is_file() and "__pycache__" not in each.parts)
    return sum(each.stat().st_size for each in files) / 1024**2


def bench(starts: int = STARTS) -> Bench:
    """Measure every function and the layer that they share."""
    found = [measure(function, starts) for function in USES]
    layer = layer_mb(ROOT / "build" / "bench" / "layer")
    rows = [
        Row(
            f"{each.function} ({', '.join(each.clients)})",
            f"{each.ours_ms:.0f} ms to {each.boto3_ms:.0f} ms, {each.ratio:.2f}",
            f"at most {MOST_RATIO}",
            within=each.ratio <= MOST_RATIO,
        )
        for each in found
    ]
    rows += [
        Row("peak memory of a start, the largest", f"{max(each.peak_mb for each in found):.0f} MB"),
        Row("layer, unzipped", f"{layer:.1f} MB", f"at most {MOST_MB} MB", within=layer <= MOST_MB),
    ]
    details = {"starts": starts, "functions": [asdict(each) for each in found], "layer_mb": round(layer, 1)}
    return Bench("cold_start", "Cold start: CPU time of imports and first clients, to bare boto3's", rows, details)
