"""Search."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AfterValidator

from sharezync_chat.api.dependencies import refusals
from sharezync_chat.models import ChannelId
from sharezync_chat.schemas import SearchHit
from sharezync_chat.usecases import searching
from sharezync_chat.usecases.searching import SearchCursor
from sharezync_shared.costly import Costly
from sharezync_shared.ids import UserId
from sharezync_shared.names.policies import QUERY, Parsed
from sharezync_shared.pages import Page, take_page
from sharezync_shared.problems import RateLimited, Unavailable
from sharezync_shared.tokens.dependencies import Caller

router = APIRouter(prefix="/v1", tags=["search"])


def _checked(cursor: str | None) -> str | None:
    if cursor is not None:
        SearchCursor.parse(cursor)
    return cursor


@router.get(
    "/search",
    summary="Search messages",
    responses=refusals(RateLimited, Unavailable),
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
    cursor: Annotated[
        Parsed | None,
        AfterValidator(_checked),
        Query(max_length=100, description="`next` of the previous page"),
    ] = None,
) -> Page[SearchHit]:
    """Searches the channels that you are a member of. Results carry highlighted text.

    The newest 100 matches come first, ordered by rank; older ones follow, newest first. Further
    pages contain the matches that existed when the first one was read, each once. New
    messages can be found shortly after they are posted. The number of concurrent searches of each
    user is limited, and each search delays the next by as long as it took, at most half a second.
    """
    found = await searching.search(
        costly,
        user_id=caller.user_id,
        query=q,
        channel_id=channel,
        author_id=author,
        after=None if cursor is None else SearchCursor.parse(cursor),
        limit=limit + 1,
    )
    shown = take_page([each.hit for each in found], limit)
    more = len(found) > len(shown)
    return Page(items=shown, next=str(found[len(shown) - 1].cursor) if more else None)
