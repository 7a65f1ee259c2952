"""The agent as a real process, watched through the events it prints."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.conftest import ROOT

PATIENCE_SECONDS = 30.0


class AgentProcess:
    def __init__(self, config_file: Path) -> None:
        self._config_file = config_file
        self._heard = threading.Condition()
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        with self._config_file.with_suffix(".stderr").open("ab") as stderr:
            self._process = subprocess.Popen(  # noqa: S603  our own module, our own arguments
                [sys.executable, "-m", "warden_agent", "--config", str(self._config_file)],
                env={"PYTHONPATH": str(ROOT / "device"), "PATH": os.environ["PATH"]},
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        self._gone()

    def terminate(self) -> int:
        self._process.terminate()
        return self._gone()

    def wait_for(self, event: str, **fields: Any) -> dict[str, Any]:
        """Return the first event with these fields, once it has happened."""
        with self._heard:
            found = self._heard.wait_for(lambda: self._first(event, fields), PATIENCE_SECONDS)
        told = [heard for heard in self.events if not heard["event"].startswith("telemetry")]
        assert found, f"no {event} {fields} among {told}"
        return found

    def count(self, event: str) -> int:
        with self._heard:
            return sum(heard["event"] == event for heard in self.events)

    def _first(self, event: str, fields: dict[str, Any]) -> dict[str, Any] | None:
        wanted = {"event": event, **fields}.items()
        return next((heard for heard in self.events if wanted <= _hashable(heard).items()), None)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._heard:
                self.events.append(json.loads(line))
                self._heard.notify_all()

    def _gone(self) -> int:
        code = self._process.wait(timeout=PATIENCE_SECONDS)
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()
        return code


def _hashable(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if not isinstance(value, dict | list)}
