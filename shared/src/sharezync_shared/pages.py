"""Pages of lists: each ends at its number of items or of bytes, whichever comes first.

A client that finds fewer items than it asked for goes on with `next`; only null is the end.
"""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from sharezync_shared.sizes import MAX_PAGE_BYTES, in_words

Item = TypeVar("Item")
Document = TypeVar("Document", bound=BaseModel)


class Page(BaseModel, Generic[Item]):
    """A page of a list."""

    model_config = ConfigDict(json_schema_extra={"description": "A page of a list."})

    items: list[Item]
    next: str | None = Field(
        description="`cursor` of the next page; null on the last page. A page may have fewer items "
        f"than `limit`: it ends at about {in_words(MAX_PAGE_BYTES)}"
    )


def page_of(
    items: Sequence[Document], limit: int, cursor_of: Callable[[Document], object]
) -> Page[Document]:
    """Return a page of the first items; where there are more than it holds, they begin the next."""
    shown = take_page(items, limit)
    following = str(cursor_of(shown[-1])) if len(items) > len(shown) else None
    return Page(items=shown, next=following)


def take_page(
    items: Sequence[Document], limit: int, *, max_bytes: int = MAX_PAGE_BYTES
) -> list[Document]:
    """Return the first of these items: at most `limit`, and at most `max_bytes` of JSON.

    At least one, however large, if there is any.
    """
    taken: list[Document] = []
    for item in items[:limit]:
        max_bytes -= json_bytes(item)
        if taken and max_bytes < 0:
            break
        taken.append(item)
    return taken


def json_bytes(item: BaseModel) -> int:
    """Return how many bytes a document takes in an answer."""
    return len(to_json(item))


def bytes_before(text: str, order: str) -> str:
    """Return SQL for how many bytes of `text` the rows before this one have; 0 for the first.

    A statement that reads only rows in which this is less than the size of a page reads no more
    than about two pages, and always one item more than `take_page` takes, where there is one: in
    JSON a text has no fewer bytes. The length of a large text is known without reading it.
    """
    return (
        f"coalesce(sum(octet_length({text})) OVER "
        f"(ORDER BY {order} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)"
    )
