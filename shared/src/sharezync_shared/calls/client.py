"""The client for calls from service to service, over HTTP or in one process."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar, Final, NamedTuple, Protocol, TypeVar
from uuid import UUID

import httpx
import msgspec

from sharezync_shared.calls.operations import Answer, Operation, Request
from sharezync_shared.outage_log import OutageLog
from sharezync_shared.problems import Problem, RetryLater, Unavailable
from sharezync_shared.tracing.spans import SpanKind, span

_UNAUTHORIZED: Final = 401
_GENERAL: Final = frozenset({"type", "title", "status", "detail", "code", "request_id"})
"""Members of every problem document."""


class Credentials(Protocol):
    """Where a service's own token comes from; see `tokens.credentials`."""

    async def token(self) -> str:
        """Return a token that holds for some time yet."""
        ...

    async def token_instead_of(self, refused: str) -> str:
        """Return another one than that which was refused."""
        ...


class ServiceUnavailable(Unavailable):
    """A service did not answer, or not with what was declared. To clients it is `unavailable`."""

    def __init__(self, service: str, reason: str) -> None:
        super().__init__("Another service is temporarily unavailable")
        self.service = service
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.service}: {self.reason}"


def is_unanswered(error: Exception) -> bool:
    """Whether a call failed because the service did not answer, or not in time."""
    return isinstance(error, (ServiceUnavailable, TimeoutError))


class Reply(NamedTuple):
    """What a service answered, whatever it is. Names of `headers` are looked up in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    """The way to one service."""

    async def exchange(
        self, operation: Operation[Any, Any], target: str, content: bytes, token: str
    ) -> Reply:
        """Make one call; `target` is the path with the query, `content` a JSON body or empty.

        Raises TransportFailed: the call may have been carried out all the same.
        """
        ...


class TransportFailed(Exception):
    """There was no answer."""


async def authorized(
    credentials: Credentials, exchange: Callable[[str], Awaitable[Reply]]
) -> Reply:
    """Make a call with a token, and once more with another where the service refuses that one."""
    token = await credentials.token()
    reply = await exchange(token)
    if reply.status == _UNAUTHORIZED:  # it ended early: a restart of auth, another key
        reply = await exchange(await credentials.token_instead_of(token))
    return reply


class ServiceClient:
    """Makes the calls that a service has declared, as subclasses in `contracts` name them.

    Neither the transport nor the credentials are closed here. A call raises the refusals that its
    operation declares, and ServiceUnavailable for everything else that isn't an answer: then it
    may have been carried out.
    """

    service: ClassVar[str]

    def __init__(self, transport: Transport, credentials: Credentials) -> None:
        self._transport = transport
        self._credentials = credentials
        self._log = OutageLog("calls_failed", upstream=self.service)

    async def call(
        self, operation: Operation[Request, Answer], request: Request, **path: UUID | int
    ) -> Answer:
        """Make a call; `path` are the parameters of the operation's path."""
        attributes = {
            "http.request.method": operation.method,
            "url.template": operation.path,
            "service.peer.name": f"sharezync-{self.service}",
        }
        with span(f"{operation.method} {operation.path}", SpanKind.CLIENT, attributes):
            return await self._call(operation, request, path)

    async def _call(
        self, operation: Operation[Request, Answer], request: Request, path: Mapping[str, Any]
    ) -> Answer:
        target = operation.target(request, path)
        content = msgspec.json.encode(request) if operation.has_body else b""
        try:
            reply = await authorized(
                self._credentials, partial(self._transport.exchange, operation, target, content)
            )
            if 200 <= reply.status < 300:
                return operation.decode(reply.body)
            refusal = _refusal(operation, reply)
        except (TransportFailed, httpx.RequestError, Unavailable) as error:
            # Who finds out that there is no answer logs it, once for all.
            raise self._unavailable(operation, repr(error)) from error
        except msgspec.DecodeError as error:
            raise self._failed(operation, repr(error)) from error
        if refusal is None:
            raise self._failed(operation, f"the answer was {reply.status}")
        try:
            raise refusal
        finally:
            # Its traceback leads here: it would hold itself, and all that the caller has at hand.
            del refusal

    def _failed(self, operation: Operation[Any, Any], reason: str) -> ServiceUnavailable:
        failure = self._unavailable(operation, reason)
        self._log.failed(failure.reason)
        return failure

    def _unavailable(self, operation: Operation[Any, Any], reason: str) -> ServiceUnavailable:
        return ServiceUnavailable(self.service, f"{operation.method} {operation.path}: {reason}")


Client = TypeVar("Client", bound=ServiceClient)


def refusal_of(by_code: Mapping[str, type[Problem]], document: Mapping[str, Any]) -> Problem | None:
    """Return the problem that a document is, if it is one of those that callers act on."""
    kind = by_code.get(str(document.get("code")))
    if kind is None:
        return None
    members = {name: value for name, value in document.items() if name not in _GENERAL}
    return kind(str(document.get("detail", "")), **members)


def _refusal(operation: Operation[Any, Any], reply: Reply) -> Problem | None:
    document = msgspec.json.decode(reply.body, type=dict[str, Any]) if reply.body else {}
    refusal = refusal_of(operation.refusals_by_code, document)
    if isinstance(refusal, RetryLater):
        with suppress(ValueError):
            refusal.retry_after_seconds = float(reply.headers.get("retry-after", ""))
    return refusal
