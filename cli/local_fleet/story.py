"""The main job, told and proved: the steps in their order, and what one step leaves for the next to know."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from local_fleet.deploy import ROOT
from local_fleet.looking import until
from local_fleet.registry import Standing, all_certificates, all_jobs, all_objects, all_records, standing
from local_fleet.stage import FLEET, Stage
from local_fleet.timeline import Lane, Moment, Timeline

SAMPLE = ROOT / "events" / "detect-violation-in-alarm.json"

type Act = Callable[["Story"], None]


@dataclass
class Story:
    """What the steps share."""

    stage: Stage
    timeline: Timeline
    step: str = "the stage is set"
    standings: Mapping[str, Standing] = field(default_factory=dict)
    """Where every thing stood before anything happened."""
    key: str = field(default="", repr=False)
    """The suspect's private key as it was enrolled, taken from its disk."""
    published_at: float = 0.0
    case: str = ""
    resumed_after: float = 0.0
    told: int = 0
    """How many lines of the case's timeline a reader has seen."""

    def play(self, acts: Mapping[str, Act]) -> None:
        """Play all steps; `step` says which one, when one does not happen."""
        for number, (title, act) in enumerate(acts.items(), 1):
            self.step = f"step {number}, {title}"
            self.timeline.chapter(number, title)
            act(self)

    def until[T](self, what: str, look: Callable[[], T | None], seconds: float, seen: Callable[[], str]) -> T:
        """Look until it is there, and tell the reader what is waited for. Raises NotSeen."""
        self.timeline.waiting_for(what)
        return until(look, seconds, what, seen)

    def show(self) -> dict[str, Any]:
        """Ask for the case as the operator would."""
        return self.stage.operator.ask("show", case=self.case)

    def new_lines(self) -> list[Moment]:
        """Give what was added to the case's timeline since it was last read."""
        lines = self.show()["timeline"][self.told :]
        self.told += len(lines)
        return [_moment(line) for line in lines]

    def everything(self) -> dict[str, object]:
        """Read all that the service may change: two of these differ when anything at all was done in between."""
        aws, outputs = self.stage.aws, self.stage.outputs
        return {
            "the case and its timeline": self.show(),
            "the ledger": all_records(aws, outputs["LedgerTable"]),
            "the jobs": all_jobs(aws, FLEET),
            "the certificates": all_certificates(aws),
            "the things": {thing: standing(aws, thing) for thing in FLEET},
            "the bucket": sorted(all_objects(aws, outputs["EvidenceBucketName"])),
            "the notices": len(self.stage.notices.heard),
        }


def sample_message() -> tuple[str, dict[str, Any]]:
    """Read the violation as Device Defender publishes it: its text, to the byte, and what it says."""
    [record] = json.loads(SAMPLE.read_text())["Records"]
    text = record["Sns"]["Message"]
    return text, json.loads(text)


def when(event: Mapping[str, Any]) -> float:
    """Tell when a device's event or a line of a case happened (seconds since the epoch)."""
    return datetime.fromisoformat(event["at"]).timestamp()


def _moment(line: Mapping[str, Any]) -> Moment:
    return Moment(when(line), _lane(line["who"]), line["what"], line["why"])


def _lane(who: str) -> Lane:
    if who.startswith("arn:"):
        return Lane.OPERATOR
    return Lane.DEVICE if who.startswith(("thing ", "certificate ")) else Lane.CLOUD


def of_agent(story: Story, event: str, seconds: float, *, after: int = 0, **fields: object) -> dict[str, Any]:
    """Wait for something that the suspect's agent reports. Raises NotSeen."""
    agent = story.stage.suspect
    wanted = {"event": event, **fields}

    def look() -> dict[str, Any] | None:
        return next((each for each in agent.events[after:] if wanted.items() <= each.items()), None)

    def seen() -> str:
        recent = ", ".join(str(each["event"]) for each in agent.events[after:][-8:])
        return f"the device reported {recent or 'nothing'}"

    words = f"{agent.device.thing_name} to report {event}"
    return story.until(words, look, seconds, seen)


def short(certificate_id: str) -> str:
    """Shorten an id as far as a person can still tell it from others."""
    return certificate_id[:12]
