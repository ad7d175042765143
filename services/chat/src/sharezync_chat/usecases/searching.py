"""Full-text search over what the caller may read at this moment."""

import html
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import asyncpg

from sharezync_chat.models import ChannelId
from sharezync_chat.usecases import reads
from sharezync_chat.usecases.wire import SearchHit
from sharezync_shared.db.costly import CostlyReads
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
    best AS (
        SELECT s.message_id,
               CASE WHEN row_number() OVER (ORDER BY s.message_id DESC) <= $9
                    THEN ts_rank_cd(s.words, query.q) ELSE 0 END AS rank
          FROM query, chat.search_texts AS s
          JOIN chat.members AS me ON me.channel_id = s.channel_id AND me.user_id = $1
         WHERE s.words @@ query.q AND ($3::uuid IS NULL OR s.channel_id = $3)
           AND ($4::uuid IS NULL OR EXISTS (
                SELECT FROM chat.messages AS a WHERE a.id = s.message_id AND a.author_id = $4))
         ORDER BY rank DESC, s.message_id DESC LIMIT $5 OFFSET $6
    ),
    sized AS (
        SELECT best.*, m.text, {bytes_before("m.text", "best.rank DESC, best.message_id DESC")}
               AS bytes_before
          FROM best JOIN chat.messages AS m ON m.id = best.message_id
    )
    SELECT sized.message_id, sized.rank,
           ts_headline('simple', translate(sized.text, $7 || $8, ''), query.q,
                       'MaxFragments=2, MinWords=5, MaxWords=20, FragmentDelimiter=" … ", StartSel='
                       || $7 || ', StopSel=' || $8) AS highlight
      FROM sized CROSS JOIN query WHERE sized.bytes_before < $10
     ORDER BY sized.rank DESC, sized.message_id DESC
"""  # noqa: S608 - text of ours


async def search(
    costly: CostlyReads,
    *,
    user_id: UserId,
    query: str,
    channel_id: ChannelId | None,
    author_id: UUID | None,
    offset: int,
    limit: int,
) -> Sequence[SearchHit]:
    """Return messages of the caller's channels that match, the best of the newest `RANKED` first:
    no more than a page holds, and one.

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
                _SEARCH, user_id, query, channel_id, author_id, limit, offset, _FROM, _TO, RANKED,
                MAX_PAGE_BYTES,
            )  # fmt: skip
        except asyncpg.QueryCanceledError as error:
            raise Unavailable("Too many matches; use more words") from error
        found = await reads.messages(
            connection,
            "WHERE m.id = ANY($1::uuid[]) AND m.deleted_at IS NULL",
            [row["message_id"] for row in rows],
            viewer=user_id,
        )
    by_id = {message.id: message for message in found}
    return [
        SearchHit(
            message=by_id[row["message_id"]],
            highlight=_marked(row["highlight"]),
            rank=row["rank"],
        )
        for row in rows
        if row["message_id"] in by_id
    ]


def _marked(highlight: str) -> str:
    return html.escape(highlight).replace(_FROM, "<mark>").replace(_TO, "</mark>")
