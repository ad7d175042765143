"""Messages, for Zync's clients."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from sharezync_gateway.errors import NoAttachment
from sharezync_gateway.zync.documents import Document, message_of
from sharezync_gateway.zync.requests import ZyncRequest, span_of
from sharezync_gateway.zync.users import Outcome
from sharezync_shared.problems import Invalid, NotFound

_MOST_OF_ONE = 2000
"""Messages of one author that are read through to list the oldest first."""


async def of_channel(request: ZyncRequest) -> Outcome:
    """List the messages of a channel, oldest first, without deleted ones."""
    pages = request.pages(f"/v1/channels/{request.part(3)}/messages", mark="after", after=0)

    async def oldest_first() -> AsyncGenerator[list[Document]]:
        async with aclosing(pages):
            async for page in pages:
                yield page[::-1]

    found = await span_of(oldest_first(), request.span(), wanted=_is_there)
    return 200, [message_of(message) for message in found]


async def of_user(request: ZyncRequest) -> Outcome:
    """List what somebody wrote in the channels that one is in, oldest first."""
    return await _by(request, author=request.part(3))


async def of_user_in_channel(request: ZyncRequest) -> Outcome:
    """List what somebody wrote in a channel, oldest first."""
    return await _by(request, author=request.part(5), channel=request.part(3))


async def post(request: ZyncRequest) -> Outcome:
    """Post a text."""
    body = await request.body()
    return await _post(request, {"text": body.get("content")})


async def post_file(request: ZyncRequest) -> Outcome:
    """Post a file: a form with the field `file`."""
    await request.call("GET", f"/v1/channels/{request.part(3)}")  # before anything is stored
    file = (await request.pass_body_on("POST", "/v1/files")).json()
    return await _post(request, {"attachments": [file["id"]]})


async def get(request: ZyncRequest) -> Outcome:
    """Get a message."""
    return 200, message_of(await _message(request))


async def update(request: ZyncRequest) -> Outcome:
    """Change the text of a message."""
    text = (await request.body()).get("content")
    answer = await request.call("PATCH", f"/v1/messages/{request.part(2)}", body={"text": text})
    return 200, message_of(answer.json())


async def delete(request: ZyncRequest) -> Outcome:
    """Delete a message."""
    await request.call("DELETE", f"/v1/messages/{request.part(2)}")
    return 204, None


async def access_url(request: ZyncRequest) -> Outcome:
    """Return where the file of a message can be fetched for a few minutes, without a token."""
    message = await _message(request)
    if not message["attachments"]:
        raise NoAttachment
    file_id = message["attachments"][0]["file_id"]
    answer = await request.call("GET", f"/v1/messages/{message['id']}/attachments/{file_id}")
    origin = request.routed.origin
    base = request.public_url or f"{origin.scheme}://{origin.host.decode('ascii')}"
    location = answer.headers[b"location"].decode("ascii")
    return 200, {"access_url": base + location if location.startswith("/") else location}


async def _message(request: ZyncRequest) -> Document:
    message: Document = (await request.call("GET", f"/v1/messages/{request.part(2)}")).json()
    if message["deleted"]:
        raise NotFound
    return message


async def _post(request: ZyncRequest, message: Document) -> Outcome:
    answer = await request.call("POST", f"/v1/channels/{request.part(3)}/messages", body=message)
    return 201, message_of(answer.json())


async def _by(request: ZyncRequest, **whose: str) -> Outcome:
    # Ours are listed newest first; the oldest are known when all have been read.
    found = await span_of(request.pages("/v1/messages", **whose), (0, _MOST_OF_ONE + 1))
    if len(found) > _MOST_OF_ONE:
        raise Invalid(f"The user wrote more than {_MOST_OF_ONE} messages: use GET /v1/messages")
    skip, limit = request.span()
    return 200, [message_of(message) for message in found[::-1][skip : skip + limit]]


def _is_there(message: Document) -> bool:
    return not message["deleted"]
