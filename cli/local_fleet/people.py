"""People in the local AWS: identities with keys of their own, who ask the service as the `warden` command does."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local_fleet.aws import LocalAws
from local_fleet.deploy import ROOT

WARDEN = ROOT / "bin" / "warden"
_ANSWER_SECONDS = 60


class AskError(Exception):
    """Raised when the service does not answer a person as asked; carries the status and the words."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """An IAM user, their keys, and where the service is for them."""

    name: str
    arn: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    url: str
    region: str

    def environment(self) -> dict[str, str]:
        """What the `warden` command needs in this person's shell."""
        return {
            "WARDEN_URL": self.url,
            "AWS_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
        }

    def warden(self, *arguments: str) -> "Answer":
        """Run the `warden` command in this person's shell."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "WARDEN_"))}
        environment = {
            **kept,
            **self.environment(),
            "WARDEN_PYTHON": sys.executable,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_COLOR": "1",
        }
        done = subprocess.run(  # noqa: S603 - this project's own command
            [WARDEN, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_ANSWER_SECONDS,
            check=False,
        )
        return Answer(done.returncode, done.stdout.strip(), done.stderr.strip())

    def ask(self, command: str, **arguments: str) -> dict[str, Any]:
        """Ask the service itself, with a signed call of its function URL.

        Raises:
            AskError: It answered with anything but 200.
        """
        body = json.dumps({"command": command, **arguments}).encode()
        signed = AWSRequest("POST", self.url, data=body, headers={"Content-Type": "application/json"})
        SigV4Auth(Credentials(self.access_key_id, self.secret_access_key), "lambda", self.region).add_auth(signed)
        request = urllib.request.Request(self.url, data=body, headers=dict(signed.headers))  # noqa: S310 - local
        try:
            with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as answer:  # noqa: S310 - local
                said: dict[str, Any] = json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                raise AskError(f"{error.code}: {error.read().decode(errors='replace')[:500]}") from error
        return said


@dataclass(frozen=True)
class Answer:
    """How the `warden` command ended, and what it said."""

    code: int
    said: str
    complained: str

    def __str__(self) -> str:
        return f"exit code {self.code}, {self.complained or self.said or 'no word'}"


def new_person(aws: LocalAws, name: str, operate_url: str, policies: Sequence[str] = ()) -> Person:
    """Make an IAM user that may do what these managed policies allow, and nothing else."""
    iam = aws.session().client("iam")
    user = iam.create_user(UserName=name)["User"]
    for policy in policies:
        iam.attach_user_policy(UserName=name, PolicyArn=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return Person(
        name=name,
        arn=user["Arn"],
        access_key_id=key["AccessKeyId"],
        secret_access_key=key["SecretAccessKey"],
        url=aws.function_url(operate_url),
        region=aws.region,
    )
