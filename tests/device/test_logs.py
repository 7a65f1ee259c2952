"""Collecting logs: only what the device's own list names, each as it was at one moment."""

import hashlib
from pathlib import Path

import pytest

from tests.device.fakes import THING, Fate, PowerCut, World
from warden_agent.ports import UploadExpiredError, UploadFailedError, UploadRefusedError

TEXT = b"2026-11-23 pump started\n"


@pytest.fixture(name="world")
def _world(tmp_path: Path) -> World:
    for label in ("app", "system"):
        (tmp_path / f"{label}.log").write_bytes(TEXT + label.encode())
    return World(tmp_path, {label: tmp_path / f"{label}.log" for label in ("app", "system")})


def test_announces_and_uploads_every_log_it_may(world: World) -> None:
    job = world.cloud.order("collect-logs")

    world.live()

    (request,) = world.cloud.asked("/logs/create")
    assert request["jobId"] == "job-1"
    assert request["files"][0] == {
        "name": "app",
        "bytes": len(TEXT) + 3,
        "sha256": hashlib.sha256(TEXT + b"app").hexdigest(),
    }
    assert world.uploader.uploaded == {"app": TEXT + b"app", "system": TEXT + b"system"}
    assert (job.status, job.details) == ("SUCCEEDED", {"uploaded": "2", "bytes": str(2 * len(TEXT) + 9)})
    assert [line["label"] for line in world.journal.named("log-uploaded")] == ["app", "system"]


def test_a_path_in_the_job_or_in_the_answer_means_nothing(world: World) -> None:
    (world.folder / "secret").write_text("keys")
    world.cloud.order("collect-logs", files=str(world.folder / "secret"), logs="/etc/shadow")
    form = {"name": str(world.folder / "secret"), "url": "https://evil.example", "fields": {}}
    world.cloud.instead["create"] = [("accepted", {"uploads": [form]})]

    world.live()

    assert world.uploader.uploaded == {}
    assert world.cloud.jobs[0].status == "FAILED"


def test_a_missing_log_is_named_and_the_others_are_sent(world: World) -> None:
    world.logs = {**world.logs, "gone": world.folder / "gone.log", "folder": world.folder}
    job = world.cloud.order("collect-logs")

    world.live()

    assert job.status == "SUCCEEDED"
    assert job.details["missing"] == "folder, gone"
    assert set(world.uploader.uploaded) == {"app", "system"}


def test_no_log_at_all_fails_the_job(world: World) -> None:
    world.logs = {"gone": world.folder / "gone.log"}
    job = world.cloud.order("collect-logs")

    world.live()

    assert (job.status, job.details["reason"]) == ("FAILED", "none of the device's logs can be read")
    assert world.cloud.asked("/logs/create") == []


def test_of_a_log_too_large_the_end_is_sent(world: World) -> None:
    (world.folder / "app.log").write_bytes(b"old" * 1000 + b"new" * 300)
    world.cloud.order("collect-logs")

    world.live()

    assert world.uploader.uploaded["app"] == (b"old" * 1000 + b"new" * 300)[-1000:]


def test_a_label_that_looks_like_a_path_stays_in_the_scratch_folder(world: World) -> None:
    world.logs = {"..": world.folder / "app.log"}
    world.cloud.order("collect-logs")

    world.live()

    assert world.uploader.uploaded == {"..": TEXT + b"app"}


def test_no_copy_is_left_behind(world: World) -> None:
    (world.folder / "collected").mkdir()
    (world.folder / "collected" / "0.log").write_text("of a collection that a power cut ended")

    world.live()

    assert not (world.folder / "collected").exists()


@pytest.mark.parametrize("instant", range(1, 14))
def test_a_power_cut_at_any_instant_does_not_change_what_is_announced(world: World, instant: int) -> None:
    job = world.cloud.order("collect-logs")
    with pytest.raises(PowerCut):
        world.live(Fate(at=instant))
    with (world.folder / "app.log").open("ab") as log:
        log.write(b"and the log goes on\n")

    world.live()

    assert job.status == "SUCCEEDED"
    assert len({str(request["files"]) for request in world.cloud.asked("/logs/create")}) == 1
    assert not (world.folder / "collected").exists()


def test_the_next_job_sends_what_the_logs_hold_then(world: World) -> None:
    world.cloud.order("collect-logs", "job-1")
    world.live()
    (world.folder / "app.log").write_bytes(b"rotated")
    world.cloud.order("collect-logs", "job-2")

    world.live()

    assert world.uploader.uploaded["app"] == b"rotated"


class TestTrouble:
    def test_a_failure_that_may_pass_is_tried_again(self, world: World) -> None:
        world.uploader.troubles = [UploadFailedError("503"), UploadFailedError("timeout")]
        job = world.cloud.order("collect-logs")

        world.live()

        assert job.status == "SUCCEEDED"
        assert len(world.uploader.urls) == 4

    def test_an_expired_form_is_asked_for_anew(self, world: World) -> None:
        world.uploader.troubles = [UploadExpiredError("403")]
        job = world.cloud.order("collect-logs")

        world.live()

        assert job.status == "SUCCEEDED"
        first, second = world.cloud.asked("/logs/create")
        assert first["files"] == second["files"], "the cloud takes no other announcement for the same job"
        assert len(world.uploader.urls) == 3, "what is uploaded already is not uploaded again"

    def test_forms_that_always_expire_fail_the_job(self, world: World) -> None:
        world.uploader.troubles = [UploadExpiredError("the store answered 403")] * 100
        job = world.cloud.order("collect-logs")

        world.live()

        assert job.status == "FAILED"
        assert "app: the store answered 403" in job.details["reason"]
        assert world.cloud.upload_rounds == 3

    def test_a_store_that_refuses_one_file_gets_the_others(self, world: World) -> None:
        world.uploader.troubles = [UploadRefusedError("the store answered 400")]
        job = world.cloud.order("collect-logs")

        world.live()

        assert (job.status, job.details["uploaded"]) == ("FAILED", "1")
        assert job.details["reason"] == "app: the store answered 400"

    @pytest.mark.parametrize(
        ("code", "times"),
        [("try-again", 6), ("internal", 6), ("no-job", 6), ("not-yours", 6), ("not-active", 6), ("too-large", 1)],
    )
    def test_a_refused_request_fails_the_job_with_its_code(self, world: World, code: str, times: int) -> None:
        world.cloud.instead["create"] = [("rejected", {"code": code, "message": "no"})] * 100
        job = world.cloud.order("collect-logs")

        world.live()

        assert job.status == "FAILED"
        assert job.details["reason"] == f"no upload was allowed: {code}: no"
        assert len(world.cloud.asked("/logs/create")) == times

    def test_a_policy_that_forbids_the_request_fails_the_job(self, world: World) -> None:
        world.cloud.refused_topics = {f"warden/{THING}/logs/create"}
        job = world.cloud.order("collect-logs")

        world.live()

        assert "Not authorized" in job.details["reason"]

    @pytest.mark.parametrize(
        "uploads", [None, "all of them", [1, None], [{"name": "app"}], [{"name": 1, "url": "https://x", "fields": {}}]]
    )
    def test_an_answer_that_makes_no_sense_fails_the_job(self, world: World, uploads: object) -> None:
        world.cloud.instead["create"] = [("accepted", {"uploads": uploads})]
        job = world.cloud.order("collect-logs")

        world.live()

        assert job.status == "FAILED"
        assert world.uploader.uploaded == {}

    def test_an_error_that_nobody_foresaw_fails_the_job_and_not_the_agent(self, world: World) -> None:
        world.uploader.troubles = [RuntimeError("the disk is on fire\n")]
        job = world.cloud.order("collect-logs")
        next_job = world.cloud.order("collect-logs", "job-2")

        world.live()

        assert (job.status, job.details["reason"]) == ("FAILED", "RuntimeError: the disk is on fire ")
        assert next_job.status == "SUCCEEDED"
