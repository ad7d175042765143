"""What one service serves under `/internal` and another calls, declared once for both of them."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import NoneType
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlencode
from uuid import UUID

import msgspec

from sharezync_shared.problems import Problem

Request = TypeVar("Request")
Answer = TypeVar("Answer")

_BODILESS: Final = frozenset({"GET", "DELETE"})

Item = TypeVar("Item", bound=Any)


@dataclass(frozen=True, eq=False)
class Operation(Generic[Request, Answer]):
    """One call to a service: where it is made, what it is given, what it is answered.

    `path` names its parameters in braces. `request` and `answer` are dataclasses, or structs of
    msgspec; NoneType stands for nothing. A request is the body, or the query of a GET. `refusals`
    are the problems that callers act on: they meet the same class again. A `repeatable` call may
    reach the owner twice; others are made again only where nothing of them was sent.
    """

    method: str
    path: str
    request: type[Request]
    answer: type[Answer]
    refusals: tuple[type[Problem], ...] = ()
    repeatable: bool = False
    timeout_seconds: float = 10
    """How long the owner may be silent."""
    success: int = 200

    @property
    def status(self) -> int:
        """Of a success: 204 where the answer is nothing."""
        return 204 if self.answer is NoneType else self.success

    @property
    def has_body(self) -> bool:
        """Whether the request is a body, and not a query."""
        return self.request is not NoneType and self.method not in _BODILESS

    @cached_property
    def refusals_by_code(self) -> dict[str, type[Problem]]:
        """The refusals by their slugs."""
        return {refusal.slug: refusal for refusal in self.refusals}

    @cached_property
    def _decoder(self) -> msgspec.json.Decoder[Answer]:
        return msgspec.json.Decoder(self.answer)

    def target(self, request: Request, parameters: Mapping[str, UUID | int]) -> str:
        """Return the path with its parameters filled in, and the query; None is left out of it.

        Raises KeyError for a parameter that is missing.
        """
        path = self.path.format_map(parameters) if parameters else self.path
        if self.request is NoneType or self.has_body:
            return path
        fields: dict[str, Any] = msgspec.to_builtins(request)
        given = {name: value for name, value in fields.items() if value is not None}
        return f"{path}?{urlencode(given)}" if given else path

    def decode(self, body: bytes) -> Answer:
        """Return an answer. Fields that this version doesn't know are ignored.

        Raises msgspec.DecodeError.
        """
        if self.answer is NoneType:
            return None  # type: ignore[return-value]  # it is the type's only value
        return self._decoder.decode(body)


def portions(items: Collection[Item], most: int) -> Iterator[list[Item]]:
    """Return the items in order, each of them once, in lists of at most `most`."""
    ordered = sorted(set(items))
    for start in range(0, len(ordered), most):
        yield ordered[start : start + most]


def joined(ids: Iterable[UUID]) -> str:
    """Return ids as one parameter of a query."""
    return ",".join(map(str, ids))
