"""Knocking at the broker's door with nothing but a socket: is somebody with this certificate let in?"""

import socket
import ssl
import struct
import tempfile

from local_fleet.aws import LocalAws

_SECONDS = 10
_CONNACK, _ACCEPTED = 0x20, 0


def knock(aws: LocalAws, client_id: str, certificate_and_key: str) -> str:
    """Try to connect over MQTT with this certificate and key (PEM) and give the broker's answer: "let in", or how it was turned away."""
    context = ssl.create_default_context(cafile=str(aws.ca_file))
    with tempfile.NamedTemporaryFile("w") as file:  # the only way in for OpenSSL; readable by its owner only
        file.write(certificate_and_key)
        file.flush()
        context.load_cert_chain(file.name)
    try:
        with (
            socket.create_connection((aws.mqtt_host, aws.mqtt_port), timeout=_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=aws.mqtt_host) as secure,
        ):
            secure.sendall(_connect_packet(client_id))
            answer = secure.recv(4)
    except (ssl.SSLError, OSError) as error:
        return f"turned away ({getattr(error, 'reason', None) or error})"
    if len(answer) < 4 or answer[0] != _CONNACK:
        return "turned away (closed without a word)"
    return "let in" if answer[3] == _ACCEPTED else f"turned away (CONNACK {answer[3]})"


def _connect_packet(client_id: str) -> bytes:
    """Write a CONNECT of MQTT 3.1.1 (specification, 3.1): clean session, keep-alive of a minute."""
    name = client_id.encode()
    body = b"\x00\x04MQTT\x04\x02" + struct.pack("!H", 60) + struct.pack("!H", len(name)) + name
    return bytes([0x10, len(body)]) + body  # one byte of length: the names here are short
