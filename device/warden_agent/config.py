"""The agent's configuration: a TOML file, checked before the agent starts."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What the AWS IoT registry allows as a thing name.
THING_NAME = re.compile(r"[A-Za-z0-9:_-]{1,128}")
LOG_LABEL = re.compile(r"[A-Za-z0-9_.-]{1,64}")
MAX_LOGS = 10  # as many as the service accepts in one announcement by default


class ConfigError(Exception):
    """Raised when the configuration cannot be used; the message names the key and the remedy."""


@dataclass(frozen=True, kw_only=True)
class AgentConfig:
    thing_name: str
    endpoint: str
    port: int
    ca_file: Path
    state_dir: Path
    telemetry_topic: str
    telemetry_interval_seconds: float
    keep_alive: int
    retry_min_seconds: float
    retry_max_seconds: float
    max_log_bytes: int
    logs: Mapping[str, Path]


def load_config(path: Path) -> AgentConfig:
    """Read and check the file. Relative paths start at the file's folder. Raises ConfigError."""
    try:
        raw = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    reader = _Reader(raw, path.absolute().parent)
    config = _config(reader)
    reader.refuse_the_rest()
    return config


def _config(read: "_Reader") -> AgentConfig:
    thing_name = read.text("thing_name")
    if not THING_NAME.fullmatch(thing_name):
        raise ConfigError("thing_name must be 1 to 128 letters, digits, ':', '_' or '-', as in the AWS IoT registry")
    retry_min = read.number("retry_min_seconds", 1.0, low=0.05, high=3600)
    config = AgentConfig(
        thing_name=thing_name,
        endpoint=read.text("endpoint"),
        port=int(read.number("port", 8883, low=1, high=65535, whole=True)),
        ca_file=read.path("ca_file"),
        state_dir=read.path("state_dir"),
        telemetry_topic=read.text("telemetry_topic", f"telemetry/{thing_name}"),
        telemetry_interval_seconds=read.number("telemetry_interval_seconds", 60.0, low=0.05, high=86400),
        keep_alive=int(read.number("keep_alive", 60, low=5, high=1200, whole=True)),
        retry_min_seconds=retry_min,
        retry_max_seconds=read.number("retry_max_seconds", max(120.0, retry_min), low=0.05, high=3600),
        max_log_bytes=int(read.number("max_log_bytes", 10 * 1024**2, low=1, high=5 * 1024**3, whole=True)),
        logs=read.logs(),
    )
    if config.retry_max_seconds < config.retry_min_seconds:
        raise ConfigError("retry_max_seconds is less than retry_min_seconds: raise it, or lower the other")
    if not config.ca_file.is_file():
        raise ConfigError(f"ca_file: no such file: {config.ca_file}; give the CA that signed the broker's certificate")
    if set(config.telemetry_topic) & {"+", "#", "\0"}:
        raise ConfigError("telemetry_topic is a topic, not a filter: remove '+' and '#'")
    return config


class _Reader:
    """Takes values out of the parsed file, so that unknown keys can be refused at the end."""

    def __init__(self, raw: dict[str, Any], folder: Path) -> None:
        self._raw = raw
        self._folder = folder

    def text(self, key: str, default: str | None = None) -> str:
        value = self._raw.pop(key, default)
        if value is None:
            raise ConfigError(f'{key} is missing: add {key} = "..."')
        if not isinstance(value, str) or not value.strip():
            raise ConfigError(f"{key} must be a non-empty string")
        return value

    def path(self, key: str) -> Path:
        return self._folder / self.text(key)

    def number(self, key: str, default: float, *, low: float, high: float, whole: bool = False) -> float:
        value = self._raw.pop(key, default)
        allowed = int if whole else int | float
        if isinstance(value, bool) or not isinstance(value, allowed) or not low <= value <= high:
            raise ConfigError(f"{key} must be a {'whole ' if whole else ''}number from {low:g} to {high:g}")
        return value

    def logs(self) -> dict[str, Path]:
        table = self._raw.pop("logs", {})
        if not isinstance(table, dict):
            raise ConfigError('logs must be a table: [logs] and lines of label = "/path/to/file"')
        if len(table) > MAX_LOGS:
            raise ConfigError(f"logs names {len(table)} files: name {MAX_LOGS} at most")
        for label, path in table.items():
            if not LOG_LABEL.fullmatch(label):
                raise ConfigError(f"logs: label {label!r} must be 1 to 64 letters, digits, '_', '.' or '-'")
            if not isinstance(path, str) or not path:
                raise ConfigError(f'logs.{label} must be the path of a file: {label} = "/path/to/file"')
        return {label: self._folder / path for label, path in table.items()}

    def refuse_the_rest(self) -> None:
        if self._raw:
            raise ConfigError(f"unknown key {sorted(self._raw)[0]}: remove it, or correct its spelling")
