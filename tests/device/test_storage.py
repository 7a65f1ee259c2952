"""The state on disk: whole or not at all, private, and how the first identity gets there."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from tests.device.fakes import FakeAuthority, PowerCut
from warden_agent.identity import Identity, KeyAlgorithm
from warden_agent.state import DeviceState, JobStatus, Outcome, Rotation, Step
from warden_agent.storage import FileStore, StorageError

AUTHORITY = FakeAuthority()


@pytest.fixture(name="identity")
def _identity() -> Identity:
    return AUTHORITY.identity()


def put(folder: Path, identity: Identity) -> None:
    (folder / "certificate.pem").write_text(identity.certificate_pem)
    (folder / "private.key").write_text(identity.key_pem)


def a_rotation(step: Step = Step.REQUESTED) -> Rotation:
    return Rotation(
        job_id="job-1",
        execution_number=2,
        client_token="token",
        algorithm=KeyAlgorithm.RSA_2048,
        step=step,
        key_pem="key",
        csr="request",
        asks=3,
        outcome=Outcome(JobStatus.FAILED, {"reason": "no"}) if step is Step.ENDED else None,
    )


@pytest.mark.parametrize("step", list(Step))
def test_what_was_saved_is_what_is_loaded(tmp_path: Path, identity: Identity, step: Step) -> None:
    state = DeviceState(identity=identity, fallback=AUTHORITY.identity(), rotation=a_rotation(step))
    FileStore(tmp_path).save(state)

    assert FileStore(tmp_path).load() == state


def test_the_key_is_readable_by_its_owner_only_also_over_a_leftover(tmp_path: Path, identity: Identity) -> None:
    leftover = tmp_path / ".state.json.new"
    leftover.write_text("half a sta")
    leftover.chmod(0o666)
    FileStore(tmp_path).save(DeviceState(identity=identity))

    assert stat.S_IMODE((tmp_path / "state.json").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_a_write_that_was_cut_off_leaves_the_old_state(tmp_path: Path, identity: Identity) -> None:
    store = FileStore(tmp_path)
    store.save(DeviceState(identity=identity))
    (tmp_path / ".state.json.new").write_text('{"identity": {"certificate_pem": "-----BEG')

    assert store.load() == DeviceState(identity=identity)


def test_a_link_in_the_place_of_the_new_file_is_not_followed(tmp_path: Path, identity: Identity) -> None:
    (tmp_path / "elsewhere").write_text("untouched")
    (tmp_path / ".state.json.new").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OSError, match="symbolic links"):
        FileStore(tmp_path).save(DeviceState(identity=identity))
    assert (tmp_path / "elsewhere").read_text() == "untouched"


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", "null", '{"identity": 3}', "\x00", '{"identity": {"key_pem": ""}}']
)
def test_a_state_nobody_can_read_is_refused_with_what_to_do(tmp_path: Path, content: str) -> None:
    (tmp_path / "state.json").write_text(content)

    with pytest.raises(StorageError, match=r"put certificate\.pem and private\.key"):
        FileStore(tmp_path).load()


class TestEnrolment:
    def test_takes_the_two_files_in_and_removes_them(self, tmp_path: Path, identity: Identity) -> None:
        put(tmp_path, identity)

        assert FileStore(tmp_path).enrol()
        assert FileStore(tmp_path).load() == DeviceState(identity=identity)
        assert [path.name for path in tmp_path.iterdir()] == ["state.json"]

    def test_makes_a_state_directory_that_is_private(self, tmp_path: Path) -> None:
        FileStore(tmp_path / "new").enrol()

        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700

    def test_without_files_nothing_happens(self, tmp_path: Path, identity: Identity) -> None:
        state = DeviceState(identity=identity, rotation=a_rotation())
        FileStore(tmp_path).save(state)

        assert not FileStore(tmp_path).enrol()
        assert FileStore(tmp_path).load() == state

    def test_a_new_enrolment_replaces_everything(self, tmp_path: Path, identity: Identity) -> None:
        FileStore(tmp_path).save(DeviceState(identity=AUTHORITY.identity(), rotation=a_rotation()))
        put(tmp_path, identity)

        FileStore(tmp_path).enrol()

        assert FileStore(tmp_path).load() == DeviceState(identity=identity)

    def test_one_that_was_cut_off_is_finished(self, tmp_path: Path, identity: Identity) -> None:
        put(tmp_path, identity)
        FileStore(tmp_path).save(DeviceState(identity=identity))
        (tmp_path / "private.key").unlink()

        FileStore(tmp_path).enrol()

        assert [path.name for path in tmp_path.iterdir()] == ["state.json"]

    def test_a_pair_that_does_not_match_is_refused_and_kept(self, tmp_path: Path, identity: Identity) -> None:
        put(tmp_path, replace(identity, key_pem=AUTHORITY.identity().key_pem))

        with pytest.raises(StorageError, match="was not made for this private key"):
            FileStore(tmp_path).enrol()
        assert (tmp_path / "private.key").exists()


def test_no_identity_says_what_to_put_where(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"put certificate\.pem and private\.key there"):
        FileStore(tmp_path).load()


def test_a_power_cut_is_not_an_error_that_somebody_could_catch() -> None:
    assert not issubclass(PowerCut, Exception)
