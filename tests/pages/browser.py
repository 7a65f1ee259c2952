"""A headless Chromium, driven over the DevTools protocol by a pipe: no driver, no port, nothing that it could fetch."""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
_SECONDS = 60.0


class NoBrowserError(Exception):
    """Raised where there is no Chromium; the text says what to install."""


def path_of_chromium() -> str:
    """Find a Chromium on this machine.

    Raises:
        NoBrowserError: there is none.
    """
    found = subprocess.run([ROOT / "tools" / "find-chromium"], capture_output=True, text=True, check=False)  # noqa: S603 - a tool of ours
    if found.returncode:
        raise NoBrowserError(found.stderr.strip())
    return found.stdout.strip()


@dataclass
class Browser:
    """One page in a running Chromium, and what its console said."""

    writes: int
    reads: int
    session: str = ""
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    _next: int = 0
    _rest: bytes = b""
    _loaded: bool = False

    def open(self, page: Path, *, width: int, dark: bool = False, media: str = "") -> None:
        """Show a page at a width and in a colour scheme, as a screen or as paper."""
        self.console.clear()
        self.requests.clear()
        self._loaded = False
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self.call("Page.navigate", url=page.as_uri())
        deadline = time.monotonic() + _SECONDS
        while not self._loaded:
            self._note(self._message(deadline))

    def ask(self, script: str) -> Any:
        """Evaluate an expression in the page. The page's own policy does not bind the one who looks at it."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def screenshot(self, to: Path) -> None:
        """Write a picture of the whole page."""
        picture = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        to.write_bytes(base64.b64decode(picture["data"]))

    def call(self, method: str, **parameters: Any) -> Mapping[str, Any]:
        """Call one method of the protocol and wait for its answer."""
        self._next += 1
        call: dict[str, Any] = {"id": self._next, "method": method, "params": parameters}
        if self.session:
            call["sessionId"] = self.session
        os.write(self.writes, json.dumps(call).encode() + b"\0")
        deadline = time.monotonic() + _SECONDS
        while True:
            message = self._message(deadline)
            if message.get("id") == self._next:
                assert "error" not in message, message["error"]
                return dict(message["result"])
            self._note(message)

    def _message(self, deadline: float) -> Mapping[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self.reads], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"Chromium did not answer within {_SECONDS:.0f} seconds"
            read = os.read(self.reads, 1 << 16)
            assert read, "Chromium has ended"
            self._rest += read
        message, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(message))

    def _note(self, message: Mapping[str, Any]) -> None:
        method, told = message.get("method"), message.get("params", {})
        if method == "Log.entryAdded":
            self.console.append(str(told["entry"]["text"]))
        elif method in {"Runtime.consoleAPICalled", "Runtime.exceptionThrown"}:
            self.console.append(json.dumps(told))
        elif method == "Network.requestWillBeSent":
            self.requests.append(str(told["request"]["url"]))
        elif method == "Page.loadEventFired":
            self._loaded = True


@contextmanager
def a_browser(profile: Path) -> Iterator[Browser]:
    """Run a Chromium for as long as it is needed.

    Raises:
        NoBrowserError: there is none on this machine.
    """
    chromium = path_of_chromium()
    (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
    process = subprocess.Popen(  # noqa: S603 - the browser of this machine
        # Chromium wants the pipes as its files 3 and 4. Only the first of ours can be one of those, so it moves first.
        [
            "/bin/bash",
            "-c",
            f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}',
            chromium,
            *_FLAGS,
            f"--user-data-dir={profile}",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(profile)},
        pass_fds=(theirs_in, theirs_out),
    )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        browser = Browser(writes=ours_out, reads=ours_in)
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        browser.session = str(browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
        for domain in ("Page", "Runtime", "Log", "Network"):
            browser.call(f"{domain}.enable")
        yield browser
    finally:
        process.kill()
        process.wait()
        os.close(ours_out)
        os.close(ours_in)
