"""What transfer refuses, by name. Slugs are API: documented, tested, stable."""

from sharezync_shared.problems import Problem, ProblemKind


class TransferOver(Problem):
    """With `state`."""

    kind, slug = ProblemKind.CONFLICT, "transfer-over"
    title = "The transfer has ended"


class NotInThisState(Problem):
    """With `state`."""

    kind, slug = ProblemKind.CONFLICT, "wrong-state"
    title = "Not possible in the current state of the transfer"


class AcceptedOtherwise(Problem):
    """With `files`: what was accepted."""

    kind, slug = ProblemKind.CONFLICT, "accepted-otherwise"
    title = "Other files of the transfer were accepted already"


class OtherDevice(Problem):
    kind, slug = ProblemKind.FORBIDDEN, "other-device"
    title = "The transfer was offered to another of your devices"


class UploadIncomplete(Problem):
    """With `files`: for each that lacks chunks its `index` and `missing`, ranges of indexes."""

    kind, slug = ProblemKind.CONFLICT, "upload-incomplete"
    title = "Chunks are missing"


class DigestMismatch(Problem):
    """With `file`. Final: the transfer has failed."""

    kind, slug = ProblemKind.INVALID, "digest-mismatch"
    title = "A file doesn't match its digest"


class QuotaExceeded(Problem):
    kind, slug = ProblemKind.FULL, "quota-exceeded"
    title = "The quota is exceeded"


class TooManyFiles(Problem):
    """Of the sender's, under way or kept at storage."""

    kind, slug = ProblemKind.CONFLICT, "too-many-files"
    title = "The limit of files is reached"


class TransferTooLarge(Problem):
    """With `limit_bytes`, where that is known."""

    kind, slug = ProblemKind.TOO_LARGE, "transfer-too-large"
    title = "The transfer is too large"


class TooManyTransfers(Problem):
    """With `limit` and `open`."""

    kind, slug = ProblemKind.LIMITED, "too-many-transfers"
    title = "The limit of active transfers is reached"


class RecipientIsBlocked(Problem):
    """With `user_ids`: whom of the recipients the sender has blocked."""

    kind, slug = ProblemKind.CONFLICT, "user-blocked"
    title = "You have blocked the user; unblock them first"


class TooManyOffers(Problem):
    """With `limit`, `pending` and `of`: `sender` or `recipient`, and then their `user_id`."""

    kind, slug = ProblemKind.LIMITED, "too-many-offers"
    title = "The limit of unanswered offers is reached"
