"""What transfer refuses, by name. Slugs are API: documented, tested, stable."""

from sharezync_shared.problems import Conflict, Forbidden, Invalid, Problem, ProblemKind, TooLarge


class TransferOver(Conflict):  # with `state`
    slug, title = "transfer-over", "The transfer has ended"


class NotInThisState(Conflict):  # with `state`
    slug, title = "wrong-state", "Not possible in the current state of the transfer"


class AcceptedOtherwise(Conflict):  # with `files`: what was accepted
    slug, title = "accepted-otherwise", "Other files of the transfer were accepted already"


class OtherDevice(Forbidden):
    slug, title = "other-device", "The transfer was offered to another of your devices"


class UploadIncomplete(Conflict):
    """With `files`: for each that lacks chunks its `index` and `missing`, ranges of indexes."""

    slug, title = "upload-incomplete", "Chunks are missing"


class DigestMismatch(Invalid):
    """With `file`. Final: the transfer has failed."""

    slug, title = "digest-mismatch", "A file doesn't match its digest"


class QuotaExceeded(Problem):
    kind, slug, title = ProblemKind.FULL, "quota-exceeded", "The quota is exceeded"


class TooManyFiles(Conflict):  # of the sender's, under way or kept at storage
    slug, title = "too-many-files", "The limit of files is reached"


class TransferTooLarge(TooLarge):  # with `limit_bytes`, where that is known
    slug, title = "transfer-too-large", "The transfer is too large"


class TooManyTransfers(Problem):  # with `limit` and `open`
    kind, slug = ProblemKind.LIMITED, "too-many-transfers"
    title = "The limit of active transfers is reached"


class RecipientIsBlocked(Conflict):  # with `user_ids`: whom of the recipients
    slug, title = "user-blocked", "You have blocked the user; unblock them first"


class TooManyOffers(Problem):
    """With `limit`, `pending` and `of`: `sender` or `recipient`, and then their `user_id`."""

    kind, slug = ProblemKind.LIMITED, "too-many-offers"
    title = "The limit of unanswered offers is reached"
