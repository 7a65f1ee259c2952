"""After the demo: the local AWS stays up for a person, who is told how to talk to it."""

import signal
import sys
from pathlib import Path

from local_fleet.enrol import enrol
from local_fleet.stage import Stage

_SPARE = "pump-5"


def how_to_talk_to(stage: Stage, case: str, directory: Path) -> str:
    """Write the commands that work now, to be pasted into another terminal in the checkout's folder."""
    aws, operator = stage.aws, stage.operator
    # Its agent never runs, so its certificate and key lie there as files, for any MQTT client.
    spare = enrol(aws, _SPARE, directory / _SPARE)
    files = (
        f"--cafile {aws.ca_file} --cert {spare.state_dir / 'certificate.pem'} --key {spare.state_dir / 'private.key'}"
    )
    return f"""\
The local AWS is up, and the fleet with it. In another terminal, in this folder:

  # any AWS tool or SDK (as the root user)
  export AWS_ENDPOINT_URL={aws.endpoint_url} AWS_REGION={aws.region} AWS_DEFAULT_REGION={aws.region}
  export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
  export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_EC2_METADATA_DISABLED=true

  # the operator's command (WARDEN_URL is where it asks)
  export WARDEN_URL={operator.url}
  bin/warden cases --all
  bin/warden show {case}
  # the same as the operator, who may do that and nothing else
  AWS_ACCESS_KEY_ID={operator.access_key_id} AWS_SECRET_ACCESS_KEY={operator.secret_access_key} bin/warden cases

  # a function in a container, with its sample event, against this AWS (needs Docker)
  # (it runs `sam local invoke IngestFunction -e ...` and gives the container what it cannot know)
  make invoke FUNCTION=IngestFunction EVENT=events/detect-violation-in-alarm.json

  # a device that nobody plays yet: with mosquitto, or with the reference agent on AWS's own SDK (awsiot)
  mosquitto_pub -h {aws.mqtt_host} -p {aws.mqtt_port} {files} \\
      -i {_SPARE} -q 1 -t telemetry/{_SPARE} -m '{{"sequence": 1}}'
  PYTHONPATH=device .venv/bin/python -m warden_agent --config {spare.config_file}

  # what it says meanwhile
  tail -f {aws.log_file}

Enter or Ctrl-C ends it all.
"""


def wait_for_the_person() -> None:
    """Return when the person has had enough. Ctrl-C and SIGTERM raise KeyboardInterrupt here as everywhere."""
    if sys.stdin.isatty():
        input()
    else:
        signal.pause()
