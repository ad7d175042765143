"""What the gateway refuses, and how a request can fail between the client and the service."""

from sharezync_shared.problems import (
    Conflict,
    Forbidden,
    Malformed,
    Problem,
    ProblemKind,
    Unavailable,
    UpstreamTimeout,
)


class TooManySubscriptions(Conflict):
    slug, title = (
        "too-many-subscriptions",
        "The limit of subscriptions is reached; unsubscribe first",
    )


class PresenceOff(Forbidden):
    slug, title = "presence-off", "Presence is disabled on this server"


class TypingOff(Forbidden):
    slug, title = "typing-off", "Typing is disabled on this server"


class BadPath(Malformed):
    slug, title = "bad-path", "The path is malformed"


class BadHeaders(Malformed):
    slug, title = "bad-headers", "The header fields contradict each other"


class Unreachable(Unavailable):
    """No connection came about: the service has seen nothing of the request."""


class TookTooLong(UpstreamTimeout):
    """The service said nothing for too long; what it did with the request is not known."""


class BrokenAnswer(Problem):
    """The service broke off, or said what is no HTTP; what it did is not known."""

    kind, slug, title = (
        ProblemKind.UPSTREAM,
        "bad-gateway",
        "An upstream service sent an incomplete response",
    )


class ClientTooSlow(Problem):
    """The client sends nothing more of what it announced."""

    kind, slug, title = (
        ProblemKind.MALFORMED,
        "request-timeout",
        "The request was received too slowly",
    )

    @property
    def status(self) -> int:
        """408 (RFC 9110 §15.5.9): no domain error is of that kind."""
        return 408


class UploadInterrupted(Unavailable):
    """The same of a body of tus, in storage's words: what came is kept.

    To clients of tus a 4xx means that the upload can't go on, but for 409 and 423.
    """

    slug = "upload-interrupted"
    title = "The request body was interrupted; get the offset and resume from there"


class ClientGone(OSError):
    """The client left, or doesn't read. OSError is what ASGI servers raise from `send` for that."""
