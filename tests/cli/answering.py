"""A small web server in the place of the function URL: it wants a signature and gives the answers it was told."""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

_SIGNATURE = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[^/]+/\d{8}/(?P<region>[a-z0-9-]+)/lambda/aws4_request, "
    r"SignedHeaders=(?P<headers>[a-z0-9;-]+), Signature=[0-9a-f]{64}"
)


@dataclass(frozen=True)
class Answer:
    """What is answered, and with which status."""

    body: object
    status: int = 200

    def to_bytes(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Operate:
    """The function as far as the command can see it: what it was asked, and the answers still to be given.

    The last answer to a command is given again and again.
    """

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[Mapping[str, Any]] = field(default_factory=list)
    regions: list[str] = field(default_factory=list)
    url: str = ""

    def answering(self, command: str, *answers: object) -> Self:
        self.answers[command] = [each if isinstance(each, Answer) else Answer(each) for each in answers]
        return self

    def answer(self, authorization: str, body: bytes) -> Answer:
        signature = _SIGNATURE.fullmatch(authorization)
        if signature is None or "host" not in signature["headers"]:
            return Answer({"Message": "Forbidden"}, 403)
        command = json.loads(body)
        self.regions.append(signature["region"])
        self.asked.append(command)
        answers = self.answers[command["command"]]
        return answers.pop(0) if len(answers) > 1 else answers[0]


@contextmanager
def serving() -> Iterator[Operate]:
    """Run the server on a free port for as long as it is needed."""
    operate = Operate()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = operate.answer(self.headers.get("Authorization", ""), body)
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(answer.to_bytes())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        operate.url = f"http://127.0.0.1:{server.server_port}/_aws/lambda-url/abc/"
        try:
            yield operate
        finally:
            server.shutdown()
            thread.join()
