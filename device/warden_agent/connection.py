"""Connections to AWS IoT over mutual TLS, with AWS's own device SDK.

The SDK's client would reconnect by itself, but always with the identity that it was created with. Here each connection
is a client of its own, stopped at its first failure. The agent decides which identity connects next, and when.
"""

import queue
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import Any

from awscrt import exceptions, mqtt5
from awsiot import mqtt5_client_builder

from warden_agent.config import AgentConfig
from warden_agent.identity import Identity
from warden_agent.ports import ConnectError, ConnectionLostError, Message, NotAuthorizedError

CONNECT_SECONDS = 30.0
ACK_SECONDS = 15
STOP_SECONDS = 5.0
NEVER_BY_ITSELF_MS = 3_600_000
FIRST_REFUSAL = 128  # in MQTT 5 every reason code from here on is a failure
NOT_AUTHORIZED = 135
# Network failures, by the SDK's names: they say nothing about our identity. AWS_IO_SOCKET_CLOSED is not among
# them: a broker that does not know the certificate may simply disconnect.
UNREACHED = (
    "AWS_IO_DNS",
    "AWS_IO_SOCKET_CONNECTION_REFUSED",
    "AWS_IO_SOCKET_CONNECT_ABORTED",
    "AWS_IO_SOCKET_NETWORK_DOWN",
    "AWS_IO_SOCKET_NO_ROUTE_TO_HOST",
    "AWS_IO_SOCKET_TIMEOUT",
    "AWS_IO_TLS_NEGOTIATION_TIMEOUT",
)


@dataclass(frozen=True)
class Lost:
    reason: str


class SdkDialer:
    def __init__(self, config: AgentConfig) -> None:
        self._config = config

    def dial(self, identity: Identity) -> "SdkSession":
        session = SdkSession(identity)
        try:
            session.connect(self._config)
        except (exceptions.AwsCrtError, RuntimeError, OSError) as error:
            raise ConnectError(f"the TLS client could not be made: {error}", reached=True) from error
        except BaseException:
            session.close()
            raise
        return session


class SdkSession:
    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._client: Any = _Closed()
        # SimpleQueue, because the SDK's own thread writes to it and a signal may interrupt the reader.
        self._inbox: queue.SimpleQueue[Message | Lost] = queue.SimpleQueue()
        self._opening: queue.SimpleQueue[ConnectError | None] = queue.SimpleQueue()
        self._stopped: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._lost: Lost | None = None

    @property
    def identity(self) -> Identity:
        return self._identity

    def connect(self, config: AgentConfig) -> None:
        """Raises ConnectError."""
        self._client = mqtt5_client_builder.mtls_from_bytes(
            self._identity.certificate_pem.encode(),
            self._identity.key_pem.encode(),
            endpoint=config.endpoint,
            port=config.port,
            ca_filepath=str(config.ca_file),
            client_id=config.thing_name,
            keep_alive_interval_sec=config.keep_alive,
            ping_timeout_ms=min(10_000, config.keep_alive * 500),
            # A session that outlives its connection delivers old and duplicate messages; the agent asks again instead.
            session_behavior=mqtt5.ClientSessionBehaviorType.CLEAN,
            offline_queue_behavior=mqtt5.ClientOperationQueueBehaviorType.FAIL_ALL_ON_DISCONNECT,
            min_reconnect_delay_ms=NEVER_BY_ITSELF_MS,
            max_reconnect_delay_ms=NEVER_BY_ITSELF_MS,
            connack_timeout_ms=int(CONNECT_SECONDS * 1000),
            ack_timeout_sec=ACK_SECONDS,
            on_publish_received=self._on_message,
            on_lifecycle_connection_success=self._on_connected,
            on_lifecycle_connection_failure=self._on_refused,
            on_lifecycle_disconnection=self._on_lost,
            on_lifecycle_stopped=self._on_stopped,
        )
        self._client.start()
        try:
            problem = self._opening.get(timeout=2 * CONNECT_SECONDS)
        except queue.Empty:
            problem = ConnectError("no answer from the endpoint", reached=False)
        if problem is not None:
            raise problem

    def subscribe(self, filters: Sequence[str]) -> None:
        packet = mqtt5.SubscribePacket([mqtt5.Subscription(name, mqtt5.QoS.AT_LEAST_ONCE) for name in filters])
        codes = self._done(self._client.subscribe, packet).reason_codes
        refused = [name for name, code in zip(filters, codes, strict=True) if int(code) >= FIRST_REFUSAL]
        if refused:
            raise NotAuthorizedError(f"subscription to {refused[0]} was refused")

    def publish(self, topic: str, payload: bytes) -> None:
        packet = mqtt5.PublishPacket(topic=topic, payload=payload, qos=mqtt5.QoS.AT_LEAST_ONCE)
        code = int(self._done(self._client.publish, packet).puback.reason_code)
        if code == NOT_AUTHORIZED:
            raise NotAuthorizedError(f"publish to {topic}: Not authorized ({code})")
        if code >= FIRST_REFUSAL:
            raise NotAuthorizedError(f"publish to {topic} was refused ({code})")

    def receive(self, timeout: float) -> Message | None:
        try:
            item = self._inbox.get(timeout=timeout)
        except queue.Empty:
            return None
        if isinstance(item, Lost):
            self._inbox.put(item)  # for the next caller
            raise ConnectionLostError(item.reason)
        return item

    def close(self) -> None:
        client, self._client = self._client, _Closed()
        if isinstance(client, _Closed):
            return
        client.stop(mqtt5.DisconnectPacket())
        try:
            self._stopped.get(timeout=STOP_SECONDS)
        except queue.Empty:
            return  # the SDK keeps trying; the broker gives the client id to the newest connection anyway

    def _done(self, operation: "Callable[[Any], Future[Any]]", packet: Any) -> Any:
        try:
            return operation(packet).result(timeout=2 * ACK_SECONDS)
        except exceptions.AwsCrtError as error:
            raise ConnectionLostError(self._why(error)) from error
        except FutureTimeout as error:
            raise ConnectionLostError("the broker does not acknowledge") from error

    def _why(self, error: exceptions.AwsCrtError) -> str:
        # The operation fails an instant before the broker's reason for the end arrives.
        deadline = time.monotonic() + 1
        while self._lost is None and time.monotonic() < deadline:
            time.sleep(0.02)
        return self._lost.reason if self._lost is not None else error.name

    def _on_message(self, data: Any) -> None:
        packet = data.publish_packet
        self._inbox.put(Message(packet.topic, bytes(packet.payload or b"")))

    def _on_connected(self, _data: Any) -> None:
        self._opening.put(None)

    def _on_refused(self, data: Any) -> None:
        connack = data.connack_packet
        said = f" ({connack.reason_code.name})" if connack is not None else ""
        name = data.exception.name
        self._opening.put(ConnectError(f"{name}{said}", reached=not name.startswith(UNREACHED)))

    def _on_lost(self, data: Any) -> None:
        packet = data.disconnect_packet
        said = f" ({packet.reason_code.name})" if packet is not None else ""
        self._lost = Lost(f"{data.exception.name}{said}")
        self._inbox.put(self._lost)

    def _on_stopped(self, _data: Any) -> None:
        self._stopped.put(None)


class _Closed:
    """Stands in for a client before and after a connection: telemetry may come an instant too late."""

    def publish(self, _packet: Any) -> Any:
        raise ConnectionLostError("the session is closed")

    subscribe = publish
