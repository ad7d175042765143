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
from sharezync_shared.pages import take_page
from sharezync_shared.problems import Invalid, RateLimited, Unauthenticated, Unavailable, problems
from sharezync_shared.tokens import Caller

router = APIRouter(prefix="/v1", tags=["search"])

_DEEPEST = 1000  # whoever pages further should say more words


class SearchPage(BaseModel):
    """A page of search results."""

    items: list[SearchHit]
    next: str | None = Field(
        description="`cursor` of the next page; null on the last page. A page may have fewer items "
        "than `limit`: it ends at about 512 KiB"
    )


@router.get(
    "/search",
    summary="Search messages",
    responses=problems(Unauthenticated, Invalid, RateLimited, Unavailable),
)
async def search_messages(
    caller: Caller,
    costly: Costly,
    q: Annotated[
        str,
        QUERY,
        Query(
            description='Words, `"a phrase"`, `or`, and `-word` to exclude',
            examples=['engine "first run" -test'],
        ),
    ],
    channel: Annotated[ChannelId | None, Query(description="Only messages in this channel")] = None,
    author: Annotated[UserId | None, Query(description="Only messages of this user")] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="Maximum number of items")] = 20,
    cursor: Annotated[int, Query(ge=0, le=_DEEPEST, description="`next` of the previous page")] = 0,
) -> SearchPage:
    """Searches the channels that you are a member of. Results carry highlighted text.

    The newest 100 matches come first, ordered by rank; older ones follow, newest first. New
    messages can be found shortly after they are posted. The number of concurrent searches of each
    user is limited, and each search delays the next by as long as it took, at most half a second.
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
    shown = take_page(found, limit)
    following = cursor + len(shown)
    more = len(found) > len(shown) and following <= _DEEPEST
    return SearchPage(items=shown, next=str(following) if more else None)
