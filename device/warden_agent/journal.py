"""The events on standard output: one JSON object per line, for the program that supervises the agent."""

import json
import threading
from typing import Any, TextIO

from warden_agent.ports import Clock


class LineJournal:
    def __init__(self, stream: TextIO, clock: Clock, thing_name: str) -> None:
        self._stream = stream
        self._clock = clock
        self._thing_name = thing_name
        self._one_line_at_a_time = threading.Lock()

    def record(self, event: str, **fields: Any) -> None:
        at = self._clock.now().isoformat(timespec="milliseconds")
        line = json.dumps({"event": event, "at": at, "thing": self._thing_name, **fields})
        with self._one_line_at_a_time:
            print(line, file=self._stream, flush=True)
