"""A local AWS: MiniStack in a process of its own, removed with everything it needs when its context ends."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import boto3
import botocore.session

REGION = "us-east-1"
ACCOUNT_ID = "111122223333"
# The root user: MiniStack allows it everything. Functions have their roles' own credentials.
ACCESS_KEY_ID = "test"
SECRET_ACCESS_KEY = "test"  # noqa: S105 # nosec B105 # MiniStack's fixed root key, good on this machine only

_HOST = "127.0.0.1"
_READY_SECONDS = 180
_STOP_SECONDS = 60
# Two free ports are found, released, and bound again by MiniStack: another process may take one in between.
_ATTEMPTS = 3


class LocalAwsError(Exception):
    """Raised when the local AWS does not start, or is asked for something that it does not have."""


class LocalAws:
    """A context in which a local AWS runs. However it ends, it leaves no process and no file behind.

    The server ends when its standard input closes, so it also ends when the parent is killed.
    """

    region = REGION
    account_id = ACCOUNT_ID
    mqtt_host = "localhost"

    def __init__(self, *, bridged: bool = True) -> None:
        self._bridged = bridged
        self._server: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.mqtt_port = 0
        self.directory = Path()

    def __enter__(self) -> Self:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._start()
            except LocalAwsError:
                self._stop()
                if attempt == _ATTEMPTS:
                    raise
            except BaseException:
                self._stop()
                raise
            else:
                return self
        raise AssertionError("unreachable")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def endpoint_url(self) -> str:
        return f"http://{_HOST}:{self.port}"

    @property
    def ca_file(self) -> Path:
        """The CA that signed the MQTT broker's certificate; devices trust it."""
        return self.directory / "ca.pem"

    @property
    def log_file(self) -> Path:
        return self.directory / "ministack.log"

    @property
    def pid(self) -> int:
        """The process group of the server; functions' processes are in it, and devices may join it."""
        if self._server is None:
            raise LocalAwsError("the local AWS is not running")
        return self._server.pid

    def environment(self) -> dict[str, str]:
        """Environment for a process whose AWS tool or SDK is to reach this AWS and no other."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAM_"))}
        return inherited | {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_CONFIG_FILE": str(self._config_file),
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "SAM_CLI_TELEMETRY": "0",
        }

    def session(
        self, access_key_id: str = ACCESS_KEY_ID, secret_access_key: str = SECRET_ACCESS_KEY, token: str | None = None
    ) -> boto3.Session:
        """Session whose clients reach the local AWS, as its root user unless given other keys."""
        session = botocore.session.Session()
        # The endpoint comes from a file of our own, so that neither the environment nor a person's files matter.
        session.set_config_variable("config_file", str(self._config_file))
        session.set_config_variable("credentials_file", os.devnull)
        return boto3.Session(
            aws_access_key_id=access_key_id,
            aws_secret_access_key=secret_access_key,
            aws_session_token=token,
            region_name=REGION,
            botocore_session=session,
        )

    def function_url(self, url: str) -> str:
        """Local address of a function URL, which names a host of AWS."""
        parts = urlsplit(url)
        return f"{self.endpoint_url}/_aws/lambda-url/{parts.netloc.partition('.')[0]}{parts.path or '/'}"

    @property
    def _config_file(self) -> Path:
        return self.directory / "aws-config"

    def _start(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="fleet-warden-aws-"))
        self.port, self.mqtt_port = _free_ports(2)
        self._config_file.write_text(f"[default]\nregion = {REGION}\nendpoint_url = {self.endpoint_url}\n")
        arguments = [] if self._bridged else ["--without-bridges"]
        with self.log_file.open("wb") as log:
            self._server = subprocess.Popen(  # noqa: S603 # nosec B603 # our own module, our own arguments
                [sys.executable, "-m", "local_fleet.ministack_server", *arguments],
                cwd=Path(__file__).parents[1],  # puts local_fleet on its path, and on no function's
                env=self._server_environment(),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        self._await_ready()
        self.ca_file.write_bytes(self._get("/_ministack/iot/ca.pem"))

    def _server_environment(self) -> dict[str, str]:
        temporary = self.directory / "tmp"
        temporary.mkdir()
        # Functions inherit this environment, so it must contain nothing of the user's own.
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(temporary),
            "LANG": "C.UTF-8",
            "TMPDIR": str(temporary),
            "STATE_DIR": str(temporary / "state"),
            "S3_DATA_DIR": str(temporary / "s3"),
            "FLEET_WARDEN_LOCAL_AWS": str(self.directory),
            "BIND_HOST": _HOST,
            "MINISTACK_HOST": _HOST,
            "GATEWAY_PORT": str(self.port),
            "IOT_MTLS_PORT": str(self.mqtt_port),
            "IOT_MTLS_ENABLED": "true",
            "SFTP_ENABLED": "false",
            "AUTH": "true",
            "MINISTACK_ACCOUNT_ID": ACCOUNT_ID,
            "MINISTACK_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "LAMBDA_EXECUTOR": "local",
            # Keep a function's process for longer than any demo or test run: cold starts cost seconds.
            "LAMBDA_WARM_TTL_SECONDS": "3600",
        }

    def _await_ready(self) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            if self._server is None or self._server.poll() is not None:
                raise LocalAwsError(f"the local AWS did not start:\n{self._last_words()}")
            with contextlib.suppress(OSError):
                if json.loads(self._get("/_ministack/ready"))["iot_mtls"] == "listening":
                    return
                raise LocalAwsError(f"the local AWS has no MQTT broker:\n{self._last_words()}")
            time.sleep(0.05)
        raise LocalAwsError(f"the local AWS was not ready after {_READY_SECONDS} s:\n{self._last_words()}")

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.endpoint_url + path, timeout=5) as answer:  # noqa: S310 # nosec B310 # our own server
            content: bytes = answer.read()
        return content

    def _last_words(self) -> str:
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-20:])

    def _stop(self) -> None:
        if self._server is not None:
            _end_group(self._server)
            self._server = None
        if self.directory != Path():
            shutil.rmtree(self.directory, ignore_errors=True)


def _end_group(leader: subprocess.Popen[bytes]) -> None:
    # The group holds every process that the server started, and the devices. Their state is discarded, so do not wait.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader.pid, signal.SIGKILL)
    if leader.stdin is not None:
        leader.stdin.close()
    leader.wait(timeout=_STOP_SECONDS)


def _free_ports(count: int) -> list[int]:
    """Find free ports; they differ because all are held until the last is found."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for free in sockets:
            free.bind((_HOST, 0))
        return [free.getsockname()[1] for free in sockets]
