"""Build and deploy a SAM application into a local AWS with the real SAM CLI."""

import contextlib
import fcntl
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from local_fleet.aws import LocalAws

ROOT = Path(__file__).parents[2]
SAM = ROOT / ".venv-sam" / "bin" / "sam"
_LAST_LINES = 40

Progress = Callable[[str], None]


class DeployError(Exception):
    """Raised when the SAM CLI fails; the message has the end of its output."""


def deploy(
    aws: LocalAws,
    *,
    stack_name: str = "fleet-warden",
    parameters: Mapping[str, str] | None = None,
    directory: Path = ROOT,
    config_env: str = "local",
    progress: Progress = lambda _line: None,
) -> dict[str, str]:
    """Build and deploy the application in a directory and return the stack's outputs.

    Parameters are added to those that samconfig.toml sets for the environment.

    Raises:
        DeployError: The build or the deployment failed.
    """
    # Kept between runs: what pip built from a layer's pinned requirements.
    kept = directory / "build" / "sam"
    kept.mkdir(parents=True, exist_ok=True)
    # A folder of its own, so that no other build overwrites what is being deployed.
    with tempfile.TemporaryDirectory(prefix="run-", dir=kept) as build:
        sam = _Sam(aws, directory, progress)
        # Named, because the SAM CLI looks for it beside the template, and the built template is elsewhere.
        config = ("--config-file", str(directory / "samconfig.toml"), "--config-env", config_env)
        with _alone(kept):
            sam.run("build", *config, "--build-dir", build, "--cached", "--cache-dir", str(kept / "cache"))
        bucket = _artifacts_bucket(aws)
        sam.run(
            *("deploy", *config, "--template-file", f"{build}/template.yaml"),
            *("--stack-name", stack_name, "--s3-bucket", bucket, "--region", aws.region),
            *("--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar"),
            *("--capabilities", "CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"),
            *_overrides(_configured(directory, config_env) | dict(parameters or {})),
        )
    return outputs(aws, stack_name)


def outputs(aws: LocalAws, stack_name: str = "fleet-warden") -> dict[str, str]:
    """Read the outputs of a stack."""
    [stack] = aws.session().client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


class _Sam:
    def __init__(self, aws: LocalAws, directory: Path, progress: Progress) -> None:
        self._directory = directory
        self._progress = progress
        # `sam build` looks for the runtime's own interpreter, python3.13, on the path: this environment has it.
        self._environment = aws.environment() | {
            "SAM_CLI_POLL_DELAY": "1",  # seconds; five by default, for a cloud that takes minutes
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        }

    def run(self, *arguments: str) -> None:
        last = deque[str](maxlen=_LAST_LINES)
        with subprocess.Popen(  # noqa: S603 # nosec B603 # the SAM CLI with arguments of ours
            [SAM, *arguments],
            cwd=self._directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,
        ) as process:
            try:
                for line in process.stdout or ():
                    last.append(line.rstrip())
                    self._progress(last[-1])
            except BaseException:
                # Interrupted: do not wait for the SAM CLI or the pip that it started.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise
        if process.returncode:
            raise DeployError(
                f"`sam {arguments[0]}` ended with {process.returncode}; the end of its output:\n" + "\n".join(last)
            )


@contextlib.contextmanager
def _alone(kept: Path) -> Iterator[None]:
    # The SAM CLI does not protect its cache from a second build at the same time.
    with (kept / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _artifacts_bucket(aws: LocalAws) -> str:
    # Named, not --resolve-s3: that would first deploy a stack of the SAM CLI's own, which doubles the time.
    name = f"fleet-warden-artifacts-{aws.account_id}"
    aws.session().client("s3").create_bucket(Bucket=name)
    return name


def _configured(directory: Path, config_env: str) -> dict[str, str]:
    # Read here, because the SAM CLI forgets these as soon as it is given one on its command line.
    config = tomllib.loads((directory / "samconfig.toml").read_text())
    overrides = config.get(config_env, {}).get("deploy", {}).get("parameters", {}).get("parameter_overrides", [])
    words = shlex.split(overrides) if isinstance(overrides, str) else overrides
    return {key: value for key, _, value in (word.partition("=") for word in words)}


def _overrides(parameters: Mapping[str, str]) -> list[str]:
    if not parameters:
        return []
    return [
        "--parameter-overrides",
        *(f"ParameterKey={key},ParameterValue={value}" for key, value in parameters.items()),
    ]
