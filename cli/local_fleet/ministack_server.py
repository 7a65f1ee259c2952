"""The process that LocalAws starts: MiniStack with our bridges, for as long as its parent lives."""

import asyncio
import os
import shutil
import signal
import sys
import threading
from typing import Any

from local_fleet import bridge


def main() -> None:
    """Serve until standard input closes."""
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    _listen_on_loopback_only()
    if "--without-bridges" not in sys.argv[1:]:
        bridge.install()
    sys.argv[1:] = []  # MiniStack reads the command line too

    from ministack import app  # it reads the environment and starts threads when imported

    app.main()


def _end_with_parent() -> None:
    # LocalAws closes it when it is done, and the kernel does if LocalAws is killed. Nothing is left in either case.
    sys.stdin.buffer.read()
    shutil.rmtree(os.environ["FLEET_WARDEN_LOCAL_AWS"], ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


def _listen_on_loopback_only() -> None:
    """Bind the MQTT broker to this machine only; MiniStack opens it to the whole network."""
    create_server = asyncio.BaseEventLoop.create_server

    async def on_loopback(loop: Any, protocol: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        if options.get("sock") is None:
            host = "127.0.0.1"
        return await create_server(loop, protocol, host, port, **options)

    asyncio.BaseEventLoop.create_server = on_loopback  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    main()
