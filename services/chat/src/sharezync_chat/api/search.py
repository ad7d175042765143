"""Search."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from sharezync_chat.models import ChannelId
from sharezync_chat.usecases import searching
from sharezync_chat.usecases.wire import SearchHit
from sharezync_shared.db.costly import Costly
from sharezync_shared.ids import UserId
from sharezync_shared.names.policies import QUERY
from sharezync_shared.problems import Invalid, RateLimited, Unauthenticated, Unavailable, problems
from sharezync_shared.tokens import Caller

router = APIRouter(prefix="/v1", tags=["messages"])

_DEEPEST = 1000  # whoever pages further should say more words


class SearchPage(BaseModel):
    """What was found: the best of the newest 100 that match first, then older ones."""

    items: list[SearchHit]
    next: str | None = Field(description="`cursor` of the page after, null on the last")


@router.get(
    "/search",
    summary="Search messages",
    responses=problems(Unauthenticated, Invalid, RateLimited, Unavailable),
)
async def search(
    caller: Caller,
    costly: Costly,
    q: Annotated[
        str,
        QUERY,
        Query(
            description='Words, "a phrase", `or`, `-without`',
            examples=['engine "first run" -test'],
        ),
    ],
    channel: Annotated[ChannelId | None, Query(description="Only in this channel")] = None,
    author: Annotated[UserId | None, Query(description="Only by this user")] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="How many at most")] = 20,
    cursor: Annotated[int, Query(ge=0, le=_DEEPEST, description="`next` of the page before")] = 0,
) -> SearchPage:
    """Find messages in the channels that the caller is in now; ranked, with highlights.

    The newest 100 that match are ranked; older ones follow, the newest first. A new message is
    found a moment after it was posted. Few searches of one user run at a time, and a pause
    follows each: as long as it took, at most half a second.
    """
    found = await searching.search(
        costly,
        user_id=caller.user_id,
        query=q,
        channel_id=channel,
        author_id=author,
        offset=cursor,
        limit=limit + 1,
    )
    more = cursor + limit if len(found) > limit and cursor + limit <= _DEEPEST else None
    return SearchPage(items=list(found[:limit]), next=None if more is None else str(more))
