"""Write the IAM policies of both templates into a folder, one file each, every name filled in.

`python -m tools.deployed_policies FOLDER`. Trust policies are left out: parliament would report that they have no
resource, and tests/template/test_access.py compares each with a table. AWS IoT's policies are not IAM's.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.baseline.account import Account
from tests.baseline.stack import Stack
from tests.conftest import ROOT
from tests.template.transformed import ACCOUNT, REGION, deployed, filled, read_template

_HERE = f"{REGION}:{ACCOUNT}"
_ARNS = {
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{_HERE}:table/",
    "AWS::Events::Rule": f"arn:aws:events:{_HERE}:rule/",
    "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT}:role/",
    "AWS::KMS::Key": f"arn:aws:kms:{_HERE}:key/",
    "AWS::Lambda::Function": f"arn:aws:lambda:{_HERE}:function:",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{_HERE}:log-group:",
    "AWS::S3::Bucket": "arn:aws:s3:::",
    "AWS::SNS::Topic": f"arn:aws:sns:{_HERE}:",
    "AWS::SQS::Queue": f"arn:aws:sqs:{_HERE}:",
}
_REFERENCE = re.compile(r"<([A-Za-z0-9]+)(?:\.Arn)?>")
_LOG_STREAMS = ":*"
"""What CloudFormation appends to the ARN of a log group."""


def policies() -> dict[str, dict[str, Any]]:
    """Return every policy: `Logical` or `Logical-name` to its document."""
    found = {}
    for logical, resource in deployed()["Resources"].items():
        if resource["Type"] != "AWS::IoT::Policy":
            for name, document in _documents(logical, filled(resource.get("Properties", {}))):
                found[name] = _with_arns(document)
    return found


def baseline_policies() -> dict[str, dict[str, Any]]:
    """Return every policy of the baseline with all controls made, by its name with `Baseline` before it."""
    stack = Stack(Account())
    modes = ("TrailMode", "UnusedAccessAnalyzerMode", "DetectMode", "CustomMetricsMode")
    stack.create(read_template(ROOT / "baseline" / "template.yaml"), **dict.fromkeys(modes, "create"))
    return {
        f"Baseline{name}": document
        for logical, resource in stack.resources.items()
        for name, document in _documents(logical, resource.properties)
    }


def _documents(logical: str, properties: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key in ("PolicyDocument", "KeyPolicy"):
        if key in properties:
            yield logical, properties[key]
    for policy in properties.get("Policies", []):
        yield f"{logical}-{policy['PolicyName']}", policy["PolicyDocument"]


def _with_arns(value: Any) -> Any:
    if isinstance(value, str):
        return _REFERENCE.sub(lambda reference: _arn(reference[1]), value)
    if isinstance(value, list):
        return [_with_arns(each) for each in value]
    if isinstance(value, Mapping):
        return {key: _with_arns(each) for key, each in value.items()}
    return value


def _arn(logical: str) -> str:
    kind = deployed()["Resources"][logical]["Type"]
    return f"{_ARNS[kind]}{logical.lower()}{_LOG_STREAMS if kind == 'AWS::Logs::LogGroup' else ''}"


def main(folder: Path) -> None:
    """Write all policies to a folder that holds nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, document in (policies() | baseline_policies()).items():
        (folder / f"{name}.json").write_text(json.dumps(document, indent=2))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
