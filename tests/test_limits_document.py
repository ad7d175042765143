"""`docs/limits.md` says what is so: settings that are read, their defaults, problems that exist.

Numbers that are no settings are declared once, in code; the documents that name them are compared
with the declaration here, and the failure says what to write.
"""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sharezync_auth.usecases import sessions
from sharezync_chat.api.messages import MAX_ATTACHMENTS
from sharezync_chat.usecases import bans, conversations, invites, mentions, searching
from sharezync_gateway.realtime import budget, commands
from sharezync_gateway.realtime.outbound import EVENT_LIMIT_BYTES
from sharezync_gateway.realtime.socket_limits import SocketLimits
from sharezync_shared import costly
from sharezync_shared.names.policies import MESSAGE, QUERY
from sharezync_shared.problems import Problem
from sharezync_shared.sizes import (
    MAX_CHUNK_BYTES,
    MAX_COMMIT_CHARACTERS,
    MAX_FRAMES_BYTES,
    MAX_JSON_BODY_BYTES,
    MAX_PAGE_BYTES,
    MAX_REPLAY_BYTES,
    MAX_TEXT_CHARACTERS,
    MAX_TEXT_FRAME_BYTES,
    in_words,
)
from sharezync_shared.streams.log import REPLAY_LIMIT
from sharezync_shared.threads import SHARE_OF_QUEUE
from sharezync_storage import passwords as link_passwords
from sharezync_storage.settings import MAX_CHUNKS
from sharezync_storage.usecases import quota
from sharezync_transfer.settings import (
    MAX_FILES,
    MAX_OFFER_BYTES,
    MAX_RECIPIENTS,
    MIN_CHUNK_BYTES,
)
from sharezync_transfer.usecases import choices
from tests.test_readmes import READ_BY, value_of

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs" / "limits.md").read_text()
LIMITS = SocketLimits()
FIELDS = {
    name.upper(): field.default
    for settings in READ_BY.values()
    for name, field in settings.model_fields.items()
}


TEXT, CHUNK = in_words(MAX_TEXT_FRAME_BYTES), in_words(MAX_CHUNK_BYTES)
PAGE, OF_USER = in_words(MAX_PAGE_BYTES), in_words(commands.WAITING_BYTES_OF_USER)
FIXED = {
    "logins that ended, of one user": f"{sessions.ENDED_KEPT}",
    "of these, of one address (or of one user, for changes)": f"1/{SHARE_OF_QUEUE}",
    "passwords of links that wait for a thread in one process": (
        f"{link_passwords.WAITING}; of one address, or of one user who makes links, "
        f"{link_passwords.WAITING // SHARE_OF_QUEUE}"
    ),
    "people banned from one channel": f"{bans.MAX_BANS}",
    "people in one conversation": f"{conversations.MOST_PEOPLE}",
    "invites of one channel that ended": f"{invites.ENDED_KEPT}",
    "characters of one message": f"{MESSAGE.max_characters}",
    "files at one message": f"{MAX_ATTACHMENTS}",
    "people whom one message calls by name": f"{mentions.MAX_NAMES}",
    "texts of latest messages in one `GET /v1/sync`": f"{PAGE}, and the one beyond",
    "words of one search, characters": f"{searching.MAX_WORDS}, {QUERY.max_characters}",
    "files, recipients of one offer": f"{MAX_FILES}, {MAX_RECIPIENTS}",
    "bytes of one offer's JSON": in_words(MAX_OFFER_BYTES),
    "policies of devices, of one user": f"{choices.POLICIES_KEPT}",
    "uploads of one user that ended without a file": (
        f"{quota.ENDED_KEPT} to {2 * quota.ENDED_KEPT}"
    ),
    "chunks of one upload": f"{MAX_CHUNKS}",
    "pause of a user between two searches in one process": (
        f"as long as the first took, at most {costly.PAUSE_SECONDS:g} s"
    ),
    "matches of a search that are ranked": f"the newest {searching.RANKED}",
    "bytes of one page of a list": f"{PAGE}, but one item at least",
    "chunks, acknowledgements of one user on one gateway": (
        f"{budget.BULK_FRAMES:g} for each command allowed, "
        f"{budget.BULK_FRAMES * LIMITS.commands_per_second:,.0f} a second"
    ),
    f"texts of over {in_words(budget.COSTLY_BYTES)}, `subscribe`s, offers and questions about "
    "transfers of one user's sockets on one gateway, acted on": "1",
    "bytes replayed to one user's sockets on one gateway": (
        f"{in_words(int(budget.REPLAYED_BURST_BYTES))}, "
        f"then {in_words(int(budget.REPLAYED_BYTES_PER_SECOND))} a second"
    ),
    "commands of one socket that wait for their answer": f"{LIMITS.max_commands_in_flight}",
    "bytes of one user's commands that wait on one gateway": in_words(
        commands.WAITING_BYTES_OF_USER
    ),
    # Sizes that depend on each other.
    "a message": f"{MAX_TEXT_CHARACTERS:,} characters",
    "a text frame of a socket": in_words(MAX_TEXT_FRAME_BYTES),
    "a JSON request": in_words(MAX_JSON_BODY_BYTES),
    "a batch of commands": in_words(MAX_JSON_BODY_BYTES),
    "messages of one transaction": f"{MAX_COMMIT_CHARACTERS:,} characters",
    "a page of a list": in_words(MAX_PAGE_BYTES),
    "events of one stream that a client may be behind": (
        f"{in_words(MAX_REPLAY_BYTES)}, {REPLAY_LIMIT} events"
    ),
    "frames in one message of the broker": in_words(MAX_FRAMES_BYTES),
}
"""The numbers of rows that are no settings, as the declarations have them."""
DERIVED = {
    "those in which others may put somebody, what they agreed to included and what they hid not"
}

SAID = {
    "docs/limits.md": (
        f"of all users' {in_words(commands.WAITING_BYTES)}, and then one frame for each",
    ),
    "docs/realtime.md": (
        f"A message has at most {MAX_TEXT_CHARACTERS:,} characters.",
        f'"limits":{{"text_bytes":{MAX_TEXT_FRAME_BYTES},"chunk_bytes":{MAX_CHUNK_BYTES},',
        f'"commands_per_second":{LIMITS.commands_per_second:.1f}}}',
        f"a frame over the limit ({TEXT} for text that is no `file_chunk`, {CHUNK} for a chunk;",
        f"before a token came, {TEXT} for everything)",
        f"once those of newer channels have {PAGE} of text",
        f"more than {REPLAY_LIMIT} events, {in_words(MAX_REPLAY_BYTES)} or 24 h behind",
        f"At most {LIMITS.max_commands_in_flight} commands may be unanswered, and {OF_USER} of",
    ),
    "services/chat/README.md": (f"ends at `limit` items or about {PAGE}**",),
    "services/transfer/README.md": (
        f"ends at `limit` or about {PAGE},",
        f"Fixed: 1 to {MAX_FILES:,} files, 1 to {MAX_RECIPIENTS} recipients,",
        f"chunks of {in_words(MIN_CHUNK_BYTES)} to {CHUNK},",
        f"offers of {in_words(MAX_OFFER_BYTES)}.",
    ),
    "services/gateway/README.md": (
        f"1009 for one over {TEXT} | ten errors, and {TEXT} of a frame",
        f"4008 above {in_words(EVENT_LIMIT_BYTES)};",
    ),
    "shared/src/sharezync_shared/names/README.md": (
        f"| `message` | messages | 0–{MAX_TEXT_CHARACTERS} |",
    ),
}
"""What other documents say of these numbers."""


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Yield what is limited, number, setting and what comes beyond it, as the tables have them.

    The table of sizes, which has three columns, has no setting.
    """
    for line in DOCUMENT.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and cells[0] not in {"what", "", "tables"}:
            if len(cells) == 4:
                yield cells[0], cells[1], cells[2], cells[3]
            elif len(cells) == 3:
                yield cells[0], cells[1], "–", cells[2]


for service in READ_BY:
    importlib.import_module(f"sharezync_{service}.app")  # with all its problems


def problems(kind: type[Problem] = Problem) -> Iterator[type[Problem]]:
    for problem in kind.__subclasses__():
        yield problem
        yield from problems(problem)


SETTINGS = {setting.strip("`"): number for _, number, setting, _ in rows() if setting != "–"}
WRITTEN = {what: number for what, number, setting, _ in rows() if setting == "–"}


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_is_read_and_has_that_default(setting: str) -> None:
    assert setting in FIELDS
    assert value_of(SETTINGS[setting]) == FIELDS[setting]


@pytest.mark.parametrize("what", FIXED)
def test_a_number_that_is_no_setting_is_as_declared(what: str) -> None:
    assert WRITTEN[what] == FIXED[what], f"docs/limits.md, {what}: write {FIXED[what]}"


def test_every_number_that_is_no_setting_is_compared() -> None:
    assert WRITTEN.keys() == FIXED.keys() | DERIVED


@pytest.mark.parametrize(
    ("document", "sentence"), [(document, each) for document, said in SAID.items() for each in said]
)
def test_other_documents_say_the_same(document: str, sentence: str) -> None:
    said = " ".join((ROOT / document).read_text().split())
    assert sentence in said, f"{document}: write {sentence}"


def test_every_number_of_things_that_is_a_setting_is_there() -> None:
    named = re.compile(r".*_PER_(USER|SENDER|RECIPIENT|CHANNEL|MESSAGE|FILE)|SEARCH.*|OFFERS_.*")
    assert {name for name in FIELDS if named.fullmatch(name)} <= SETTINGS.keys()


def test_every_refusal_is_a_problem_with_that_status() -> None:
    known = {(problem.kind.value, problem.slug) for problem in problems()}
    said = {
        (int(status), slug)
        for *_, beyond in rows()
        for status, slug in re.findall(r"(4\d\d|5\d\d) `([a-z-]+)`", beyond)
    }
    assert len(said) >= 20
    assert said <= known


def test_every_too_many_of_a_service_is_there() -> None:
    ours = {
        problem.slug
        for problem in problems()
        if problem.slug.startswith("too-many-") and problem.__module__.startswith("sharezync_")
    }
    elsewhere = {"too-many-subscriptions"}  # of sockets: docs/realtime.md
    assert ours - elsewhere <= set(re.findall(r"`(too-many-[a-z]+)`", DOCUMENT))
