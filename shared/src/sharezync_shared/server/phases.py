"""How far one HTTP connection is with its present request."""

from enum import Enum, auto


class Phase(Enum):
    """What an HTTP connection waits for."""

    HEAD = auto()
    """The next request may come, or its head is on its way."""
    BODY = auto()
    """A request's body is on its way."""
    ANSWER = auto()
    """The request has come whole, and its answer is not sent."""
    CLOSING = auto()
    """What comes is thrown away: the last answer was given."""
