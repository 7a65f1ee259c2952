"""Start the agent: python -m warden_agent --config agent.toml"""

import argparse
import logging
import random
import signal
import sys
import threading
import uuid
from pathlib import Path

from warden_agent.agent import Agent
from warden_agent.config import AgentConfig, ConfigError, load_config
from warden_agent.connection import SdkDialer
from warden_agent.exchange import Topics
from warden_agent.journal import LineJournal
from warden_agent.logs import LogCollection
from warden_agent.rotation import Rotations
from warden_agent.storage import FileStore, StorageError
from warden_agent.telemetry import Telemetry, start_in_background
from warden_agent.timing import Backoff, SystemClock
from warden_agent.upload import FormUploader

logger = logging.getLogger("warden_agent")


def main() -> int:
    parser = argparse.ArgumentParser(prog="warden_agent", description="The Fleet Warden reference agent.")
    parser.add_argument("--config", type=Path, required=True, help="the agent's TOML file")
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        config = load_config(parser.parse_args().config)
        store = FileStore(config.state_dir)
        store.enrol()
        store.load()
    except (ConfigError, StorageError) as error:
        logger.error("%s", error)  # noqa: TRY400  the message is for the author of the file; a traceback would not help
        return 2
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    return _run(config, store)


def _run(config: AgentConfig, store: FileStore) -> int:
    clock = SystemClock()
    journal = LineJournal(sys.stdout, clock, config.thing_name)
    telemetry = Telemetry(config.telemetry_topic, config.telemetry_interval_seconds, journal, clock)
    over = threading.Event()
    journal.record("started")
    logger.info(
        "%s connects to %s:%d, its state is in %s", config.thing_name, config.endpoint, config.port, config.state_dir
    )
    thread = start_in_background(telemetry, over.wait)
    try:
        _agent(config, store, journal, telemetry, clock).run()
    except SystemExit:
        journal.record("stopped")
        return 0
    finally:
        over.set()
        thread.join(timeout=2)


def _agent(
    config: AgentConfig, store: FileStore, journal: LineJournal, telemetry: Telemetry, clock: SystemClock
) -> Agent:
    # Jitter need not be secret, only different on each device.
    reconnects = Backoff(config.retry_min_seconds, config.retry_max_seconds, random.Random())  # noqa: S311 # nosec B311 # jitter

    def delay() -> float:
        return random.uniform(config.retry_min_seconds, 3 * config.retry_min_seconds)  # noqa: S311 # nosec B311 # jitter

    return Agent(
        topics=Topics(config.thing_name),
        dialer=SdkDialer(config),
        rotations=Rotations(
            thing_name=config.thing_name,
            store=store,
            journal=journal,
            clock=clock,
            tokens=_token,
            delay=delay,
        ),
        logs=LogCollection(
            allowed=config.logs,
            scratch=config.state_dir / "collected",
            max_bytes=config.max_log_bytes,
            uploader=FormUploader(),
            journal=journal,
            clock=clock,
            delay=delay,
        ),
        telemetry=telemetry,
        journal=journal,
        clock=clock,
        tokens=_token,
        reconnects=reconnects,
        delay=delay,
    )


def _token() -> str:
    return uuid.uuid4().hex


def _leave(_signal: int, _frame: object) -> None:
    """End as a crash would, but disconnect cleanly: the next start resumes the interrupted work."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
