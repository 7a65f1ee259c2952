"""Run one function in a real container by `sam local invoke`, against the local AWS.

    python -m local_fleet.invoke IngestFunction events/detect-violation-in-alarm.json

If AWS_ENDPOINT_URL is set (`make demo KEEP=1` prints how), use the stack that is deployed there. Otherwise start a
local AWS for this one call and deploy the application into it.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import yaml

from local_fleet.aws import LocalAws
from local_fleet.deploy import ROOT, SAM, deploy
from local_fleet.relay import reachable_from_containers

STACK = "fleet-warden"
_ENDPOINT = "AWS_ENDPOINT_URL"


class InvokeError(Exception):
    """Raised when the SAM CLI or the function fails; the message has its output."""


def build(directory: Path, environment: Mapping[str, str], root: Path = ROOT) -> Path:
    """Build the application and return a template for `sam local invoke` that accepts another endpoint for AWS."""
    cache = root / "build" / "sam" / "cache"
    built = directory / "built"
    _sam(root, environment, "build", "--build-dir", str(built), "--cached", "--cache-dir", str(cache))
    template: dict[str, Any] = yaml.safe_load((built / "template.yaml").read_text())
    # The SAM CLI passes a container only the variables that the template declares, and ours declares no endpoint.
    template["Globals"]["Function"]["Environment"]["Variables"][_ENDPOINT] = ""
    (built / "template.yaml").write_text(yaml.safe_dump(template, sort_keys=False))
    return built / "template.yaml"


def invoke(
    template: Path, function: str, event: Path, environment: Mapping[str, str], *, skip_pull: bool, root: Path = ROOT
) -> Any:
    """Invoke a function of a built template, configured like the deployed one, and return its answer.

    Raises:
        InvokeError: There is no such function, or it failed.
    """
    settings = template.parent / f"{function}.json"
    arguments = ["--template-file", str(template), "--event", str(event), "--env-vars", str(settings)]
    if skip_pull:
        arguments.append("--skip-pull-image")
    with reachable_from_containers(environment[_ENDPOINT]) as endpoint:
        variables = _as_deployed(function, environment) | {_ENDPOINT: endpoint}
        settings.write_text(json.dumps({"Parameters": variables}))
        said = _sam(root, environment, "local", "invoke", function, *arguments)
    try:
        answer = json.loads(said.strip().splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise InvokeError(f"{function} did not answer in JSON: {said!r}") from error
    if isinstance(answer, dict) and "errorMessage" in answer:
        raise InvokeError(f"{function} failed: {answer['errorMessage']}")
    return answer


def _as_deployed(function: str, environment: Mapping[str, str]) -> dict[str, str]:
    # What a template refers to has its name only once it is deployed.
    session = boto3.Session(
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_DEFAULT_REGION"],
    )
    endpoint = environment[_ENDPOINT]
    resource = session.client("cloudformation", endpoint_url=endpoint).describe_stack_resource(
        StackName=STACK, LogicalResourceId=function
    )
    name = resource["StackResourceDetail"]["PhysicalResourceId"]
    deployed = session.client("lambda", endpoint_url=endpoint).get_function_configuration(FunctionName=name)
    return dict(deployed["Environment"]["Variables"])


def _sam(root: Path, environment: Mapping[str, str], *arguments: str) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    done = subprocess.run(  # noqa: S603 # nosec B603 # the SAM CLI with arguments of ours
        [SAM, *arguments],
        cwd=root,
        env={**environment, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise InvokeError(f"`sam {' '.join(arguments[:3])}` ended with {done.returncode}:\n{done.stderr[-4000:]}")
    sys.stderr.write(done.stderr if arguments[0] == "local" else "")
    return done.stdout


@contextlib.contextmanager
def _deployed() -> Iterator[dict[str, str]]:
    if _ENDPOINT in os.environ:
        yield dict(os.environ)
        return
    with LocalAws() as aws:
        deploy(aws, stack_name=STACK)
        yield aws.environment()


def main() -> int:
    parser = argparse.ArgumentParser(prog="local_fleet.invoke", description=__doc__)
    parser.add_argument("function", help="logical name in template.yaml, such as IngestFunction")
    parser.add_argument("event", type=Path, help="a file in events/")
    parser.add_argument("--skip-pull-image", action="store_true", help="use the image of Lambda's Python that is here")
    arguments = parser.parse_args()
    try:
        with _deployed() as environment, tempfile.TemporaryDirectory(prefix="fleet-warden-invoke-") as directory:
            template = build(Path(directory), environment)
            event, skip = arguments.event.resolve(), arguments.skip_pull_image
            print(json.dumps(invoke(template, arguments.function, event, environment, skip_pull=skip)))
    except InvokeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
