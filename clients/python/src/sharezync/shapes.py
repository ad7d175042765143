"""Answers that have the shape they must have; of others it is said that they aren't understood."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from types import UnionType
from typing import Any, ClassVar, Literal, Self, get_args, get_origin

import httpx

from sharezync.problems import NotUnderstood

Json = dict[str, Any]
_WRONG_SHAPE = (LookupError, TypeError, ValueError, AttributeError, OverflowError)


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
    belongs in there: a fault of ours would be told as one of the server's.
    """
    try:
        yield
    except (*_WRONG_SHAPE, httpx.InvalidURL) as error:
        source = getattr(said, "source", None) or (said if isinstance(said, str) else "the server")
        raise not_understood(source) from error


def rows_of(document: Mapping[str, Any], name: str) -> list[Json]:
    """Return a list of objects in a document. Raises NotUnderstood."""
    with understood(document):
        rows = document[name]
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise TypeError(name)
        return rows


def object_in(document: Mapping[str, Any], name: str) -> Json:
    """Return an object in a document. Raises NotUnderstood."""
    with understood(document):
        found = document[name]
        if not isinstance(found, dict):
            raise TypeError(name)
        return found


def raw_of(document: Mapping[str, Any]) -> Json:
    """Return all of a document, also what isn't named anywhere; it still knows who said it."""
    return document if isinstance(document, dict) else dict(document)


class Answered:
    """What a dataclass is that is read from a document: its fields have the types they say."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Any]]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Read it. Raises NotUnderstood."""
        with understood(document):
            made = cls._of(document)
            for each in fields(made):
                if not _fits(getattr(made, each.name), each.type):
                    raise TypeError(each.name)
            return made

    @classmethod
    def _of(cls, document: Mapping[str, Any]) -> Self:
        """Read it, whatever the types are. Unless overridden, fields are members of their names."""
        return cls(**{each.name: document[each.name] for each in fields(cls)})


def _fits(value: object, kind: Any) -> bool:  # noqa: ANN401 - what annotations are
    origin = get_origin(kind)
    if origin is Literal:
        return value in get_args(kind)
    if origin is not None and origin is not UnionType:
        kind = origin
    # JSON has one kind of numbers.
    return isinstance(value, kind) or (isinstance(value, int) and isinstance(0.0, kind))
