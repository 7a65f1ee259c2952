"""Failures of a command: one line that says what is wrong and what to do, and an exit code."""

from enum import IntEnum

NO_CREDENTIALS = "no AWS credentials; sign in (`aws sso login`, `aws configure`), or use --profile"


class Exit(IntEnum):
    """The exit codes. Programs may rely on these numbers."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    NOT_REACHED = 3
    NOT_YET = 4
    FOUND = 5
    INTERRUPTED = 130


class CommandFailed(Exception):  # noqa: N818 - it is the end of a command, and often no error at all
    """Base of the errors that end a command early; the message is the line that people read."""

    code = Exit.REFUSED


class Refused(CommandFailed):
    """Raised when the service refuses, or the plan has faults."""


class BadUsage(CommandFailed):
    """Raised when the command line, or a file it names, cannot be used."""

    code = Exit.USAGE


class NotReached(CommandFailed):
    """Raised when the service could not be reached: no connection, no permission, or no valid answer."""

    code = Exit.NOT_REACHED


class NotYet(CommandFailed):
    """Raised when the time to wait runs out before the case comes to rest; the service continues."""

    code = Exit.NOT_YET
