"""A relay on the bridge of Docker: containers reach through it what listens only on this machine."""

import contextlib
import ipaddress
import json
import shutil
import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

_CHUNK = 65536


class _Relay(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, address: str, target: tuple[str, int]) -> None:
        self.target = target
        super().__init__((address, 0), _Connection)


class _Connection(socketserver.BaseRequestHandler):
    server: _Relay

    def handle(self) -> None:
        with contextlib.suppress(OSError), socket.create_connection(self.server.target) as there:
            back = threading.Thread(target=_copy, args=(there, self.request), daemon=True)
            back.start()
            _copy(self.request, there)
            back.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(_CHUNK):
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def reachable_from_containers(endpoint_url: str) -> Iterator[str]:
    """Return an address at which containers reach an endpoint of this machine, while the context lasts."""
    parts = urlsplit(endpoint_url)
    target = (parts.hostname or "127.0.0.1", parts.port or 80)
    try:
        relay = _Relay(_bridge_address(), target)
    except OSError:  # the bridge is inside Docker's virtual machine, which forwards to our loopback
        yield f"http://host.docker.internal:{target[1]}"
        return
    with relay:
        thread = threading.Thread(target=relay.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            host, port = relay.server_address[:2]
            yield f"http://{host!s}:{port}"
        finally:
            relay.shutdown()
            thread.join()


def _bridge_address() -> str:
    command = [shutil.which("docker") or "docker", "network", "inspect", "bridge", "--format", "{{json .IPAM.Config}}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 # nosec B603 # fixed words
    [config, *_] = json.loads(said)
    return str(config.get("Gateway") or next(ipaddress.ip_network(config["Subnet"]).hosts()))
