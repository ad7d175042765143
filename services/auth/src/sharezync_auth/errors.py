"""What auth refuses, by name. Slugs are API: documented, tested, stable."""

import math
from datetime import timedelta
from typing import ClassVar

from sharezync_shared.problems import Conflict, Forbidden, Invalid, NotFound, Problem, ProblemKind


class NameTaken(Conflict):
    slug = "username-taken"
    title = "This username, or one that looks like it, is already taken"


class EmailTaken(Conflict):
    slug, title = "email-taken", "This email address is already taken"


class GrantRefused(Problem):
    """A refusal of the token endpoint, with the error name of RFC 6749 §5.2."""

    kind, slug, title = ProblemKind.MALFORMED, "grant-refused", "The token request was refused"
    error: ClassVar[str] = "invalid_request"


class InvalidRequest(GrantRefused):
    slug, title = "invalid-request", "A parameter is missing, repeated or malformed"


class InvalidGrant(GrantRefused):
    slug, title = "invalid-grant", "The credentials are invalid or expired"
    error = "invalid_grant"


class InvalidClient(GrantRefused):
    kind, slug, title = ProblemKind.UNAUTHENTICATED, "invalid-client", "Unknown client"
    error = "invalid_client"

    def __init__(self, detail: str = "") -> None:
        # RFC 6749 §5.2 asks for this where Basic failed, RFC 9110 §15.5.2 with every 401.
        challenge = 'Basic realm="sharezync", charset="UTF-8"'
        super().__init__(detail, headers={"WWW-Authenticate": challenge})


class UnsupportedGrant(GrantRefused):
    slug, title = "unsupported-grant-type", "Unsupported grant type"
    error = "unsupported_grant_type"


class WrongPassword(Forbidden):
    slug, title = "wrong-password", "The password is wrong"


class TooManyTries(GrantRefused):
    """Not looked at: who failed so often waits. `slow_down` is of RFC 8628 §3.5."""

    kind, slug = ProblemKind.LIMITED, "too-many-tries"
    title = "Too many wrong passwords; try again later"
    error = "slow_down"

    def __init__(self, detail: str = "", *, wait: timedelta = timedelta(seconds=1)) -> None:
        seconds = max(1, math.ceil(wait.total_seconds()))
        super().__init__(detail, headers={"Retry-After": str(seconds)})


class DeviceExists(Conflict):
    slug, title = "device-exists", "You already have a device with this client_id"


class UserNotFound(NotFound):
    slug, title = "user-not-found", "The user doesn't exist"


class TooManyBlocks(Conflict):
    slug, title = "too-many-blocks", "The limit of blocked users is reached; unblock a user first"


class AvatarNotYours(Invalid):
    slug, title = "avatar-not-yours", "The avatar must be a file that you own"


class AvatarNotAnImage(Invalid):
    slug, title = "avatar-not-an-image", "The avatar must be an image"
