"""The state on disk: one file, mode 0600, replaced atomically; and the import of a first identity."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from warden_agent.identity import Identity, IdentityError, KeyAlgorithm, identity_of
from warden_agent.state import DeviceState, JobStatus, Outcome, Rotation, Step

STATE_FILE = "state.json"
ENROLMENT_CERTIFICATE = "certificate.pem"
ENROLMENT_KEY = "private.key"


class StorageError(Exception):
    """Raised when the state directory has no usable state."""


class FileStore:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file = directory / STATE_FILE

    def load(self) -> DeviceState:
        try:
            return _decoded(json.loads(self._file.read_text()))
        except FileNotFoundError as error:
            raise StorageError(
                f"no identity in {self._directory}: put {ENROLMENT_CERTIFICATE} and {ENROLMENT_KEY} there first"
            ) from error
        except (KeyError, TypeError, ValueError) as error:
            raise StorageError(
                f"cannot read {self._file} ({type(error).__name__}): put {ENROLMENT_CERTIFICATE} and {ENROLMENT_KEY} "
                f"into {self._directory} to enrol the device again"
            ) from error

    def save(self, state: DeviceState) -> None:
        write_durably(self._file, json.dumps(asdict(state)).encode())

    def enrol(self) -> bool:
        """Import a certificate and key from the directory; any rotation under way is forgotten.

        A crash half way is harmless: the state is saved before the two files go, and repeating it changes nothing.
        """
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        certificate, key = self._directory / ENROLMENT_CERTIFICATE, self._directory / ENROLMENT_KEY
        if not (certificate.exists() and key.exists()):
            self._sweep_leftover(certificate)
            return False
        try:
            identity = identity_of(certificate.read_text(), key.read_text())
        except (IdentityError, UnicodeDecodeError) as error:
            raise StorageError(f"cannot enrol from {certificate} and {key}: {error}") from error
        self.save(DeviceState(identity=identity))
        key.unlink()
        certificate.unlink()
        sync_directory(self._directory)
        return True

    def _sweep_leftover(self, certificate: Path) -> None:
        """Remove the certificate of an enrolment that was interrupted between its two removals."""
        if (
            certificate.exists()
            and self._file.exists()
            and self.load().identity.certificate_pem == certificate.read_text()
        ):
            certificate.unlink()


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file so that a power cut leaves the old content or the new one, readable by its owner only."""
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), 0o600)  # a file left by a crash may have another mode
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _decoded(raw: dict[str, Any]) -> DeviceState:
    return DeviceState(
        identity=identity_of(**raw["identity"]),
        fallback=Identity(**raw["fallback"]) if raw["fallback"] else None,
        rotation=_decoded_rotation(raw["rotation"]) if raw["rotation"] else None,
    )


def _decoded_rotation(raw: dict[str, Any]) -> Rotation:
    outcome = raw["outcome"]
    return Rotation(
        **{
            **raw,
            "algorithm": KeyAlgorithm(raw["algorithm"]),
            "step": Step(raw["step"]),
            "outcome": Outcome(JobStatus(outcome["status"]), outcome["details"]) if outcome else None,
        }
    )
