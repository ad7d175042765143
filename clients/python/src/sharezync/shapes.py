"""Answers that have the shape they must have; of others it is said that they aren't understood."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self, TypeVar

import httpx
import msgspec

from sharezync.problems import NotUnderstood

Json = dict[str, Any]
_WRONG_SHAPE = (LookupError, TypeError, ValueError, AttributeError, OverflowError)
T = TypeVar("T")


class Document(Json):
    """A JSON object that knows who said it, as does every object in it. Asked for a member that
    it lacks, it raises NotUnderstood.
    """

    def __init__(self, members: Mapping[str, Any], source: str) -> None:
        super().__init__(members)
        self.source = source

    def __missing__(self, name: str) -> Any:  # noqa: ANN401 - of JSON
        raise not_understood(self.source)


def parsed(content: str | bytes | bytearray, source: str) -> Document:
    """Return the JSON object that was said by `source`. Raises NotUnderstood for anything else."""
    try:
        found = json.loads(content, object_hook=lambda members: Document(members, source))
    except (ValueError, RecursionError) as error:
        raise NotUnderstood(f"What answers at {source} is no ShareZync server") from error
    if not isinstance(found, Document):
        raise NotUnderstood(f"What answers at {source} is no ShareZync server")
    return found


def not_understood(source: str) -> NotUnderstood:
    """Return what is raised where an answer has another shape than it must have."""
    return NotUnderstood(f"The answer of {source} isn't understood: it isn't what was asked for")


@contextmanager
def understood(said: object) -> Iterator[None]:
    """Read something inside the block: a `Document`, or what was said at an address.

    Raises NotUnderstood, which names the source, for what has another shape. Nothing but reading
    belongs in there: a fault of ours would be reported as one of the server's.
    """
    try:
        yield
    except (*_WRONG_SHAPE, httpx.InvalidURL) as error:
        source = getattr(said, "source", None) or (said if isinstance(said, str) else "the server")
        raise not_understood(source) from error


def member(document: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """Return a member of a document, which has to be of this type. Raises NotUnderstood."""
    with understood(document):
        return msgspec.convert(document[name], kind)


def object_in(document: Mapping[str, Any], name: str) -> Json:
    """Return an object in a document, which still knows who said it. Raises NotUnderstood."""
    with understood(document):
        found = document[name]
        if not isinstance(found, dict):
            raise TypeError(name)
        return found


class Answered(msgspec.Struct, frozen=True):
    """What is read from a document: fields are members of their names, of the types they have."""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Read it. Raises NotUnderstood."""
        with understood(document):
            return msgspec.convert(document, cls)
