"""How a command ends when it does not end well: one line that says what is wrong and what to do, and a code."""

from enum import IntEnum


class Exit(IntEnum):
    """What the shell is told. Programs may rely on these numbers."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    NOT_REACHED = 3
    NOT_YET = 4


class CommandFailed(Exception):  # noqa: N818 - it is the end of a command, and often no error at all
    """Base of everything that ends a command early; its text is the line that people read."""

    code = Exit.REFUSED


class Refused(CommandFailed):
    """Raised when the service was asked and said no, or the plan is faulty."""


class BadUsage(CommandFailed):
    """Raised when the command line, or a file it names, cannot be used."""

    code = Exit.USAGE


class NotReached(CommandFailed):
    """Raised when the service could not be asked: no way to it, no leave to ask, no answer that makes sense."""

    code = Exit.NOT_REACHED


class NotYet(CommandFailed):
    """Raised when the time to wait is over and the case has not come to rest; the service goes on."""

    code = Exit.NOT_YET
