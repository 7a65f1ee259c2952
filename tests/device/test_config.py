"""The configuration: what is wrong is refused, by its name, before anything starts."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from warden_agent.config import ConfigError, load_config

GOOD = {
    "thing_name": '"pump-3"',
    "endpoint": '"abc-ats.iot.eu-west-1.amazonaws.com"',
    "ca_file": '"ca.pem"',
    "state_dir": '"/var/lib/warden-agent"',
}


def written(folder: Path, tail: str = "", changes: Mapping[str, str | None] | None = None) -> Path:
    (folder / "ca.pem").write_text("a CA")
    lines = [f"{key} = {value}" for key, value in {**GOOD, **(changes or {})}.items() if value is not None]
    file = folder / "agent.toml"
    file.write_text("\n".join([*lines, tail]))
    return file


def test_only_four_keys_must_be_there(tmp_path: Path) -> None:
    config = load_config(written(tmp_path))

    assert (config.port, config.telemetry_topic, config.logs) == (8883, "telemetry/pump-3", {})


def test_paths_start_at_the_files_own_folder(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, '[logs]\napp = "app.log"\nsystem = "/var/log/syslog"'))

    assert config.ca_file == tmp_path / "ca.pem"
    assert config.state_dir == Path("/var/lib/warden-agent")
    assert config.logs == {"app": tmp_path / "app.log", "system": Path("/var/log/syslog")}


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("thing_name", None, "thing_name is missing"),
        ("thing_name", '"a/b"', "thing_name must be"),
        ("thing_name", '"+"', "thing_name must be"),
        ("thing_name", "3", "thing_name must be a non-empty string"),
        ("endpoint", '""', "endpoint must be a non-empty string"),
        ("ca_file", '"nowhere.pem"', "ca_file: no such file"),
        ("state_dir", None, "state_dir is missing"),
        ("port", '"8883"', "port must be a whole number from 1 to 65535"),
        ("port", "0", "port must be"),
        ("port", "true", "port must be"),
        ("keep_alive", "2", "keep_alive must be"),
        ("telemetry_interval_seconds", "nan", "telemetry_interval_seconds must be"),
        ("telemetry_topic", '"telemetry/#"', "telemetry_topic is a topic"),
        ("retry_min_seconds", "-1", "retry_min_seconds must be"),
        ("retry_max_seconds", "0.1", "retry_max_seconds is less than retry_min_seconds"),
        ("max_log_bytes", "0", "max_log_bytes must be"),
        ("thing", '"pump"', "unknown key thing"),
        ("logs", '["a.log"]', "logs must be a table"),
    ],
)
def test_names_the_key_that_is_wrong(tmp_path: Path, key: str, value: str | None, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_config(written(tmp_path, changes={key: value}))


@pytest.mark.parametrize(
    ("tail", "words"),
    [
        ('[logs]\n"a/b" = "x.log"', "label 'a/b' must be"),
        ('[logs]\n"" = "x.log"', "label '' must be"),
        (f'[logs]\n{"a" * 65} = "x.log"', "must be 1 to 64"),
        ("[logs]\napp = 3", "logs.app must be the path"),
        ("[logs]\n" + "\n".join(f'l{n} = "x"' for n in range(11)), "logs names 11 files"),
        ("[nonsense", "is not TOML"),
    ],
)
def test_names_the_log_that_is_wrong(tmp_path: Path, tail: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_config(written(tmp_path, tail))


def test_says_so_when_there_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*: No such file"):
        load_config(tmp_path / "agent.toml")
