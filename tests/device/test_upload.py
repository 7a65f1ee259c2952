"""Uploads to a server that is really there."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from warden_agent.ports import UploadExpiredError, UploadFailedError, UploadRefusedError
from warden_agent.upload import FormUploader


class Store(ThreadingHTTPServer):
    status = 204
    bodies: list[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/bucket"


class _Handler(BaseHTTPRequestHandler):
    server: Store

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.server.status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name the base class gave it
        """Print nothing, to keep the test's output clean."""


@pytest.fixture(name="store")
def _store() -> Iterator[Store]:
    with Store(("127.0.0.1", 0), _Handler) as store:
        store.bodies = []
        thread = threading.Thread(target=store.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield store
        store.shutdown()
        thread.join()


@pytest.fixture(name="log")
def _log(tmp_path: Path) -> Path:
    (tmp_path / "0.log").write_bytes(b"what happened")
    return tmp_path / "0.log"


def test_sends_the_fields_in_their_order_and_the_file_last(store: Store, log: Path) -> None:
    FormUploader().upload(store.url, {"key": "cases/1/app", "policy": "e30=", "a": "b"}, "app", log)

    (body,) = store.bodies
    positions = [body.index(part) for part in (b'name="key"', b'name="policy"', b'name="a"', b'name="file"')]
    assert positions == sorted(positions)
    assert body.index(b"what happened") > positions[-1]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (403, UploadExpiredError),
        (401, UploadExpiredError),
        (400, UploadRefusedError),
        (307, UploadRefusedError),
        (429, UploadFailedError),
        (503, UploadFailedError),
    ],
)
def test_tells_apart_what_may_pass_and_what_may_not(
    store: Store, log: Path, status: int, error: type[Exception]
) -> None:
    store.status = status

    with pytest.raises(error):
        FormUploader().upload(store.url, {}, "app", log)
    assert len(store.bodies) == 1, "a redirect is not followed"


def test_a_store_that_is_not_there_may_come_back(store: Store, log: Path) -> None:
    url = store.url
    store.server_close()

    with pytest.raises(UploadFailedError):
        FormUploader().upload(url.replace("/bucket", ""), {}, "app", log)


@pytest.mark.parametrize(
    "url", ["http://evidence.example/", "ftp://127.0.0.1/", "http://127.0.0.1.evil.example/", "", "http://[", "//x/"]
)
def test_logs_leave_the_device_over_https_only(url: str, log: Path) -> None:
    with pytest.raises(UploadRefusedError):
        FormUploader().upload(url, {}, "app", log)
