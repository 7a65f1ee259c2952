"""`make demo`: the main job once, on a local AWS, with every step checked."""

import argparse
import contextlib
import re
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from local_fleet.aws import LocalAws
from local_fleet.deploy import DeployError, deploy
from local_fleet.enrol import AgentError
from local_fleet.narrator import Lane, NotSeen, Story
from local_fleet.scenario import Stage, play

_WIDTH = 112


def main(arguments: list[str] | None = None) -> int:
    """Play the demo; return 0 if everything happened, 1 if something did not, 130 if it was interrupted."""
    options = _options(arguments)
    console = Console(width=None if sys.stdout.isatty() else _WIDTH, record=options.svg is not None, highlight=False)
    story = Story(console, patience=options.patience)
    try:
        with LocalAws() as aws, tempfile.TemporaryDirectory(prefix="fleet-warden-demo-") as folder:
            seen = _tell(story, aws, Path(folder), options)
    except KeyboardInterrupt:
        console.print("\ninterrupted; everything that was started is stopped", style="yellow")
        return 130
    if options.svg is not None:
        # Without the web fonts that rich names: every system has a monospaced one.
        picture = re.sub(r"@font-face {.*?}\s*", "", console.export_svg(title="make demo"), flags=re.DOTALL)
        options.svg.write_text(picture)
    return 0 if seen else 1


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="local_fleet.demo", description=__doc__)
    parser.add_argument(
        "--keep", action="store_true", help="leave the local AWS up until Enter or Ctrl-C, and print how to use it"
    )
    parser.add_argument(
        "--mode", default="enforce", help="the stack's Mode (default: enforce; anything less contains nothing)"
    )
    parser.add_argument("--patience", type=float, default=60, help="seconds to wait for each step (default: 60)")
    parser.add_argument("--svg", type=Path, help="also write the output as a drawing to this file")
    return parser.parse_args(arguments)


def _tell(story: Story, aws: LocalAws, folder: Path, options: argparse.Namespace) -> bool:
    story.chapter("A fleet and its warden, on a local AWS")
    with _explained(story, aws) as outcome:
        story.tell(Lane.STAGE, "local AWS is up; building and deploying template.yaml with the real SAM CLI")
        outputs = deploy(aws, parameters={"Mode": options.mode})
        story.tell(Lane.STAGE, f"stack deployed, Mode={options.mode}, every function under its own role")
        with Stage.set(aws, outputs, folder, story) as stage:
            play(stage)
            story.summary()
            story.console.print(f"\nEverything happened, in {story.seconds:.0f} s.", style="bold green")
            if options.keep:
                _keep(stage)
    return not outcome


@contextlib.contextmanager
def _explained(story: Story, aws: LocalAws) -> Iterator[list[Exception]]:
    """Print what went wrong: the step, what happened instead, and where to look."""
    wrong: list[Exception] = []
    try:
        yield wrong
    except (NotSeen, AgentError, DeployError) as error:
        wrong.append(error)
        log = Path(tempfile.gettempdir()) / "fleet-warden-demo.log"
        log.write_bytes(aws.log_file.read_bytes() if aws.log_file.exists() else b"")
        story.console.print()
        story.console.print(f"NOT SEEN: {error}", style="bold red", markup=False)
        story.console.print(f"The log of the local AWS and its functions: {log}", markup=False)


def _keep(stage: Stage) -> None:
    console, aws = stage.story.console, stage.aws
    console.print("\nThe local AWS stays up. In another terminal:\n", style="bold")
    for name, value in {**aws.environment(), "WARDEN_URL": stage.url}.items():
        if name.startswith(("AWS_", "WARDEN_")):
            console.print(f"  export {name}={value}", markup=False, soft_wrap=True)
    for line in (
        "bin/warden cases --all",
        f"bin/warden show {stage.case_id}",
        "bin/warden plan explain events/detect-violation-in-alarm.json",
    ):
        console.print(f"  {line}", markup=False)
    console.print(f"\nMQTT over mutual TLS: {aws.mqtt_host}:{aws.mqtt_port}, CA {aws.ca_file}", markup=False)
    console.print("Press Enter or Ctrl-C to stop it.", style="bold")
    with contextlib.suppress(KeyboardInterrupt):
        try:
            input()
        except EOFError:  # no terminal to press Enter in, so it stays until it is interrupted
            signal.pause()


if __name__ == "__main__":
    sys.exit(main())
