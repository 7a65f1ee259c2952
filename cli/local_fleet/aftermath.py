"""What outlives the local AWS when a step did not happen: enough to find out why."""

import json
import shutil
import traceback
from datetime import UTC, datetime
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from local_fleet.aws import LocalAws
from local_fleet.registry import all_records, function_logs


def save_logs(aws: LocalAws, devices: Path, ledger_table: str, error: BaseException, into: Path) -> Path:
    """Copy what everybody logged into a new folder there, and give it. What cannot be read any more is left out."""
    folder = into / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "error.txt").write_text("".join(traceback.format_exception(error)))
    shutil.copy(aws.log_file, folder / "local-aws.log")
    for log in devices.glob("*/agent.log"):
        shutil.copy(log, folder / f"agent-{log.parent.name}.log")
    try:
        with (folder / "functions.log").open("w") as file:
            file.writelines(f"{function} {line}\n" for function, line in function_logs(aws))
        if ledger_table:
            records = [json.loads(record) for record in all_records(aws, ledger_table)]
            (folder / "ledger.json").write_text(json.dumps(records, indent=1))
    except (BotoCoreError, ClientError) as unread:
        (folder / "unread.txt").write_text(f"the local AWS did not give the rest: {unread}\n")
    return folder
