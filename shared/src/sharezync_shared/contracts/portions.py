"""Questions about many, cut into as many as may be asked about at once."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any, TypeVar
from uuid import UUID

Item = TypeVar("Item", bound=Any)


def portions(items: Collection[Item], most: int) -> Iterator[list[Item]]:
    """Return the items in order, each of them once, in lists of at most `most`."""
    ordered = sorted(set(items))
    for start in range(0, len(ordered), most):
        yield ordered[start : start + most]


def joined(ids: Iterable[UUID]) -> str:
    """Return ids as one parameter of a query."""
    return ",".join(map(str, ids))
