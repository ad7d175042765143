"""What transfer refuses, by name. Slugs are API: documented, tested, stable."""

from sharezync_shared.problems import Kind, Problem


class TransferOver(Problem):
    """With `state`."""

    kind, slug = Kind.CONFLICT, "transfer-over"
    title = "Nothing more will happen to this transfer"


class NotInThisState(Problem):
    """With `state`."""

    kind, slug = Kind.CONFLICT, "wrong-state"
    title = "This can't be done to the transfer as it stands"


class AcceptedOtherwise(Problem):
    """With `files`: what was accepted."""

    kind, slug = Kind.CONFLICT, "accepted-otherwise"
    title = "Other files of this transfer were accepted already"


class OtherDevice(Problem):
    kind, slug = Kind.FORBIDDEN, "other-device"
    title = "This was offered to another device of yours"


class UploadIncomplete(Problem):
    """With `files`: for each that lacks chunks its `index` and `missing`, ranges of indexes."""

    kind, slug = Kind.CONFLICT, "upload-incomplete"
    title = "Chunks are missing"


class DigestMismatch(Problem):
    """With `file`. Final: the transfer has failed."""

    kind, slug = Kind.INVALID, "digest-mismatch"
    title = "A file does not have the digest that was said"


class QuotaExceeded(Problem):
    kind, slug = Kind.FULL, "quota-exceeded"
    title = "There is not enough room left in your quota"


class TooManyFiles(Problem):
    """Of the sender's, under way or kept at storage."""

    kind, slug = Kind.CONFLICT, "too-many-files"
    title = "As many files of yours are under way or kept as there may be"


class TransferTooLarge(Problem):
    """With `limit_bytes`, where that is known."""

    kind, slug = Kind.TOO_LARGE, "transfer-too-large"
    title = "That is more than one transfer may hold"


class CapabilityRefused(Problem):
    """To a gateway. To who showed the token it is `unauthenticated`."""

    kind, slug = Kind.FORBIDDEN, "capability-refused"
    title = "This token does not open the transfer, or no longer does"


class TooManyTransfers(Problem):
    """With `limit` and `open`."""

    kind, slug = Kind.LIMITED, "too-many-transfers"
    title = "Too many transfers of yours have not ended"


class UserBlocked(Problem):
    """With `user_ids`: whom of the recipients the sender has blocked."""

    kind, slug = Kind.CONFLICT, "user-blocked"
    title = "You have blocked this user; unblock them first"


class TooManyOffers(Problem):
    """With `limit`, `pending` and `of`: `sender` or `recipient`, and then their `user_id`."""

    kind, slug = Kind.LIMITED, "too-many-offers"
    title = "Too many offers wait for an answer"
