"""Full-text search over what the caller may read at this moment."""

import html
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self
from uuid import UUID

import asyncpg

from sharezync_chat.models import ChannelId
from sharezync_chat.schemas import SearchHit
from sharezync_chat.usecases import reads
from sharezync_shared.costly import CostlyReads
from sharezync_shared.ids import UserId
from sharezync_shared.pages import bytes_before
from sharezync_shared.problems import Invalid, Unavailable
from sharezync_shared.sizes import MAX_PAGE_BYTES

MAX_WORDS: Final = 16
"""In one search: each is looked up, and each that is in a text is weighed against the others."""
_MAX_NODES: Final = 2 * MAX_WORDS - 1
"""The same as PostgreSQL counts: words and what joins two of them. It cuts words more finely."""

RANKED: Final = 100
"""How many of the newest that match are weighed against each other; a long text takes about a
millisecond. What is older and matches follows, the newest first."""

# Marks that can't be in a text that anybody typed, and that survive escaping.
_FROM, _TO = "\ue000", "\ue001"

_NODES: Final = "SELECT numnode(websearch_to_tsquery('simple', $1))"
_SEARCH: Final = f"""
    WITH query AS (SELECT websearch_to_tsquery('simple', $2) AS q),
    matching AS MATERIALIZED (
        SELECT s.message_id AS id
          FROM query, chat.search_texts AS s
          JOIN chat.members AS me ON me.channel_id = s.channel_id AND me.user_id = $1
         WHERE s.words @@ query.q AND ($3::uuid IS NULL OR s.channel_id = $3)
           AND ($4::uuid IS NULL OR EXISTS (
                SELECT FROM chat.messages AS a WHERE a.id = s.message_id AND a.author_id = $4))
           AND ($10::uuid IS NULL OR s.message_id <= $10)
    ),
    pinned AS (
        SELECT coalesce($10::uuid, (SELECT id FROM matching ORDER BY id DESC LIMIT 1)) AS newest,
               coalesce($11::uuid,
                        (SELECT id FROM matching ORDER BY id DESC OFFSET $8 - 1 LIMIT 1),
                        '00000000-0000-0000-0000-000000000000') AS ranked_from
    ),
    weighed AS (
        SELECT id, CASE WHEN id < ranked_from THEN 0 ELSE (
                   SELECT ts_rank_cd(s.words, query.q)
                     FROM chat.search_texts AS s, query WHERE s.message_id = id) END AS rank
          FROM matching, pinned
    ),
    best AS (
        SELECT id, rank FROM weighed
         WHERE $12::real IS NULL OR (rank, id) < ($12, $13::uuid)
         ORDER BY rank DESC, id DESC LIMIT $5
    ),
    sized AS (
        SELECT best.*, m.text, {bytes_before("m.text", "best.rank DESC, best.id DESC")}
               AS bytes_before
          FROM best JOIN chat.messages AS m USING (id)
    )
    SELECT sized.id, sized.rank, pinned.newest, pinned.ranked_from,
           ts_headline('simple', translate(sized.text, $6 || $7, ''), query.q,
                       'MaxFragments=2, MinWords=5, MaxWords=20, FragmentDelimiter=" … ", StartSel='
                       || $6 || ', StopSel=' || $7) AS highlight
      FROM sized, query, pinned WHERE sized.bytes_before < $9
     ORDER BY sized.rank DESC, sized.id DESC
"""  # noqa: S608 - text of ours


_CURSOR: Final = struct.Struct(">f16s16s16s")


@dataclass(frozen=True, slots=True)
class SearchCursor:
    """Where a page of hits begins: behind one, as the hits stood when the first page was read.

    `newest` and `ranked_from` bound which messages are weighed: what is posted or taken away
    meanwhile moves none of the others to another page.
    """

    rank: float
    message_id: UUID
    newest: UUID
    ranked_from: UUID

    def __str__(self) -> str:
        ids = (self.message_id.bytes, self.newest.bytes, self.ranked_from.bytes)
        return urlsafe_b64encode(_CURSOR.pack(self.rank, *ids)).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the cursor that was spelt so. Raises ValueError for what is none."""
        try:
            packed = urlsafe_b64decode(text + "=" * (-len(text) % 4))
            rank, *ids = _CURSOR.unpack(packed)
        except (struct.error, ValueError) as error:
            raise ValueError("not the `next` of a page") from error
        return cls(rank, *(UUID(bytes=each) for each in ids))


@dataclass(frozen=True, slots=True)
class Found:
    """A hit, and where the page behind it begins."""

    hit: SearchHit
    cursor: SearchCursor


async def search(
    costly: CostlyReads,
    *,
    user_id: UserId,
    query: str,
    channel_id: ChannelId | None,
    author_id: UUID | None,
    after: SearchCursor | None,
    limit: int,
) -> Sequence[Found]:
    """Return messages of the caller's channels that match, the best of the newest `RANKED` first:
    no more than a page holds, and one. `after`: those behind the last hit of a page.

    `query` as in a web search: words, "a phrase", `or`, `-without`. Membership is looked at in the
    same statement: nothing of a channel that the caller has left is found, and nothing deleted.
    A new message is found a moment after it was posted. Raises Invalid for too many words,
    Unavailable for a search that takes too long, and as `CostlyReads.read`.
    """
    async with costly.read(user_id) as unit:
        connection = await unit.raw()
        if await connection.fetchval(_NODES, query) > _MAX_NODES:
            message = f"At most {MAX_WORDS} words, whatever joins them"
            raise Invalid(errors=[{"field": "query.q", "message": message}])
        try:
            rows = await connection.fetch(
                _SEARCH, user_id, query, channel_id, author_id, limit, _FROM, _TO, RANKED,
                MAX_PAGE_BYTES, *_bounds_of(after),
            )  # fmt: skip
        except asyncpg.QueryCanceledError as error:
            raise Unavailable("Too many matches; use more words") from error
        found = await reads.messages(
            connection,
            "WHERE m.id = ANY($1::uuid[]) AND m.deleted_at IS NULL",
            [row["id"] for row in rows],
            viewer=user_id,
        )
    by_id = {message.id: message for message in found}
    return [
        Found(
            SearchHit(
                message=by_id[row["id"]], highlight=_marked(row["highlight"]), rank=row["rank"]
            ),
            SearchCursor(row["rank"], row["id"], row["newest"], row["ranked_from"]),
        )
        for row in rows
        if row["id"] in by_id
    ]


def _bounds_of(after: SearchCursor | None) -> tuple[UUID, UUID, float, UUID] | tuple[None, ...]:
    if after is None:
        return (None,) * 4
    return after.newest, after.ranked_from, after.rank, after.message_id


def _marked(highlight: str) -> str:
    return html.escape(highlight).replace(_FROM, "<mark>").replace(_TO, "</mark>")
