"""`make demo`: the main job on a local AWS, from nothing to a summary of what was proved."""

import argparse
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from types import FrameType

from local_fleet import act_contain, act_release
from local_fleet.aftermath import save_logs
from local_fleet.aws import LocalAws, LocalAwsError
from local_fleet.deploy import ROOT, deploy
from local_fleet.keep import how_to_talk_to, wait_for_the_person
from local_fleet.looking import NotSeen
from local_fleet.stage import FLEET, SUSPECT, Stage, on_stage
from local_fleet.story import Act, Story
from local_fleet.timeline import Lane, Timeline

_LOGS = ROOT / "build" / "demo"
_PROVED, _FAILED, _INTERRUPTED = 0, 1, 130

_ACTS: Mapping[str, Act] = {
    "Telemetry flows": act_contain.telemetry_flows,
    f"{SUSPECT} violates its security profile and is contained": act_contain.a_violation_comes_in,
    "Its jobs still arrive, its logs become evidence": act_contain.jobs_still_arrive,
    "A person is told": act_contain.a_person_is_told,
    "The same message again": act_contain.the_same_again,
    "An operator approves the release": act_release.an_operator_approves,
    "It is back, on a new certificate": act_release.on_a_new_certificate,
    "The other four": act_release.the_others_never_noticed,
    "Nothing is left over": act_release.nothing_is_left_over,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Play the demo; gives the exit code: 0 when everything was proved."""
    arguments = _parser().parse_args(argv)
    timeline = Timeline(recorded=arguments.svg is not None)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = _Demo(arguments, timeline).run()
    except KeyboardInterrupt:
        timeline.note("\n  Interrupted. Everything that was started is stopped.")
        return _INTERRUPTED
    except LocalAwsError as error:
        timeline.note(f"\n  ✗ the local AWS is started: this did not happen\n    {error}")
        return _FAILED
    if code == _PROVED and arguments.svg is not None:
        timeline.save_picture(arguments.svg)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="local_fleet.demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the local AWS up until Enter or Ctrl-C")
    parser.add_argument(
        "--mode",
        choices=["observe", "approve", "enforce"],
        help="deploy with this for the stack's parameter Mode instead of what samconfig.toml says for `local`; "
        "with anything but enforce nothing is contained, and the demo says so and fails",
    )
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write a picture of the terminal when all is proved")
    return parser


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


class _Demo:
    def __init__(self, arguments: argparse.Namespace, timeline: Timeline) -> None:
        self._arguments = arguments
        self._timeline = timeline
        self._step = "the stage is set"
        self._outputs: Mapping[str, str] = {}

    def run(self) -> int:
        """Start everything, play, and stop everything, however it ends."""
        self._timeline.title("Fleet Warden", "a violation, and what becomes of it: the main job, once through")
        with tempfile.TemporaryDirectory(prefix="fleet-warden-demo-") as directory, LocalAws() as aws:
            try:
                self._set_up_and_play(aws, Path(directory))
            except Exception as error:  # noqa: BLE001 - whatever it was: the step did not happen, and that is the answer
                self._tell_of(error, aws, Path(directory))
                return _FAILED
        return _PROVED

    def _set_up_and_play(self, aws: LocalAws, directory: Path) -> None:
        with self._timeline.live():
            self._deploy(aws)
            self._timeline.waiting_for("five devices to be enrolled")
        with on_stage(aws, self._outputs, directory) as stage:
            story = Story(stage, self._timeline)
            with self._timeline.live():
                self._play(story)
            count = len(self._timeline.proofs)
            self._timeline.summary(f"All {count} proved in {self._timeline.seconds:.0f} s, the deployment included.")
            if self._arguments.keep:
                self._keep(stage, story.case, directory)

    def _deploy(self, aws: LocalAws) -> None:
        timeline = self._timeline
        timeline.chapter(0, "The stage is set")
        timeline.say(Lane.CLOUD, "a local AWS is up", f"MiniStack {version('ministack')}, IAM enforced")
        mode = self._arguments.mode
        self._step = "the stack is deployed"
        self._outputs = deploy(
            aws,
            parameters={"Mode": mode} if mode else None,
            progress=lambda line: timeline.waiting_for(f"sam: {line.strip()}"),
        )
        resources = aws.session().client("cloudformation").describe_stack_resources(StackName="fleet-warden")
        timeline.say(
            Lane.CLOUD, "sam build, sam deploy", f"{len(resources['StackResources'])} resources from template.yaml"
        )

    def _play(self, story: Story) -> None:
        try:
            self._timeline.say(Lane.DEVICE, "enrolled, each with a key and a certificate of its own", ", ".join(FLEET))
            story.play(_ACTS)
        finally:
            self._step = story.step

    def _tell_of(self, error: Exception, aws: LocalAws, directory: Path) -> None:
        where = save_logs(aws, directory, self._outputs.get("LedgerTable", ""), error, _LOGS)
        if isinstance(error, NotSeen):
            expected, seen = error.expected, error.seen
        else:
            expected, seen = "no error", f"{type(error).__name__}: {error}"
        self._timeline.failed(self._step, expected, seen, where)

    def _keep(self, stage: Stage, case: str, directory: Path) -> None:
        self._timeline.note(how_to_talk_to(stage, case, directory))
        with suppress(KeyboardInterrupt, EOFError):
            wait_for_the_person()


if __name__ == "__main__":
    sys.exit(main())
