"""Build and deploy a SAM application into a local AWS with the real SAM CLI."""

import os
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from local_fleet.aws import LocalAws

ROOT = Path(__file__).parents[2]
SAM = ROOT / ".venv-sam" / "bin" / "sam"
# Shared by every run: what pip made of a layer's pinned requirements is worth keeping.
_CACHE = ROOT / "build" / "sam-cache"
_LAST_LINES = 40

Progress = Callable[[str], None]


class DeployError(Exception):
    """Raised when the SAM CLI fails; carries the last it said."""


def deploy(
    aws: LocalAws,
    *,
    stack_name: str = "fleet-warden",
    parameters: Mapping[str, str] | None = None,
    directory: Path = ROOT,
    config_env: str = "local",
    progress: Progress = lambda line: None,
) -> dict[str, str]:
    """Build and deploy the application in a directory and return the stack's outputs.

    Raises:
        DeployError: The build or the deployment failed.
    """
    # Of its own, so that two runs do not build over each other.
    with tempfile.TemporaryDirectory(prefix="fleet-warden-build-") as build:
        sam = _Sam(aws, directory, progress)
        # Named, because the SAM CLI looks for it beside the template, and the built template is elsewhere.
        config = ("--config-file", str(directory / "samconfig.toml"), "--config-env", config_env)
        sam.run("build", *config, "--build-dir", build, "--cached", "--cache-dir", str(_CACHE))
        bucket = _artifacts_bucket(aws)
        sam.run(
            *("deploy", *config, "--template-file", f"{build}/template.yaml"),
            *("--stack-name", stack_name, "--s3-bucket", bucket, "--region", aws.region),
            *("--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar"),
            *("--capabilities", "CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"),
            *_overrides(parameters or {}),
        )
    return outputs(aws, stack_name)


def outputs(aws: LocalAws, stack_name: str = "fleet-warden") -> dict[str, str]:
    """Read what a stack says about itself."""
    [stack] = aws.session().client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


class _Sam:
    def __init__(self, aws: LocalAws, directory: Path, progress: Progress) -> None:
        self._directory = directory
        self._progress = progress
        # `sam build` looks for the runtime's own interpreter, python3.13, on the path: this environment has it.
        self._environment = aws.environment() | {
            "SAM_CLI_POLL_DELAY": "1",  # seconds; five by default, for a cloud that takes minutes
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        }

    def run(self, *arguments: str) -> None:
        last = deque[str](maxlen=_LAST_LINES)
        with subprocess.Popen(  # noqa: S603 - the SAM CLI with arguments of ours
            [SAM, *arguments],
            cwd=self._directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            for line in process.stdout or ():
                last.append(line.rstrip())
                self._progress(last[-1])
        if process.returncode:
            raise DeployError(f"`sam {arguments[0]}` ended with {process.returncode}:\n" + "\n".join(last))


def _artifacts_bucket(aws: LocalAws) -> str:
    # Named, not --resolve-s3: that would deploy a stack of the SAM CLI's own first, twice the time.
    name = f"fleet-warden-artifacts-{aws.account_id}"
    aws.session().client("s3").create_bucket(Bucket=name)
    return name


def _overrides(parameters: Mapping[str, str]) -> list[str]:
    if not parameters:
        return []
    return ["--parameter-overrides", *(f"ParameterKey={key},ParameterValue={value}" for key, value in parameters.items())]
