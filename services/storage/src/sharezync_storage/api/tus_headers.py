"""The header fields of tus 1.0.0: read strictly, written in one place, and on every answer.

Source: tus resumable upload protocol 1.0.0 (tus.io/protocols/resumable-upload).
"""

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Final
from urllib.parse import urljoin, urlsplit
from uuid import UUID

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sharezync_shared.problems import Malformed, NotAllowed, send_problem
from sharezync_storage.errors import NotAnOffsetStream, TusVersionUnsupported
from sharezync_storage.models import Upload, UploadId
from sharezync_storage.usecases.tus_uploads import TusCreation

VERSION: Final = "1.0.0"
EXTENSIONS: Final = (
    "creation", "creation-with-upload", "creation-defer-length", "termination", "checksum",
    "expiration", "concatenation",
)  # fmt: skip
PATH: Final = "/v1/uploads"
OFFSET_STREAM: Final = "application/offset+octet-stream"

_NAME_KEYS: Final = ("filename", "name")
_TYPE_KEYS: Final = ("filetype", "type", "mime")

_NUMBER: Final = re.compile(r"[0-9]{1,40}")
_ENDLESS: Final = 2**62
"""Stands for every number above: more than any file has, and less than a database overflows at."""
_KEY: Final = re.compile(r"[^\x00-\x20,\x7f]+")
_UPLOAD_PATH: Final = re.compile(rf"(?:/.*)?{PATH}/([0-9A-Fa-f-]{{36}})/?")

_METHODS: Final = frozenset({"OPTIONS", "HEAD", "GET", "POST", "PUT", "PATCH", "DELETE"})
"""A closed set: metrics count by method."""


def check_version(headers: Headers) -> None:
    """Raise TusVersionUnsupported for any version but ours; one that says none knows no tus."""
    said = headers.getlist("tus-resumable")
    if said != [VERSION]:
        detail = f"Send `Tus-Resumable: {VERSION}`"
        raise TusVersionUnsupported(detail, headers={"Tus-Version": VERSION})


def check_offset_stream(headers: Headers) -> None:
    if not is_offset_stream(headers):
        raise NotAnOffsetStream


def is_offset_stream(headers: Headers) -> bool:
    said = headers.get("content-type", "").partition(";")[0]
    return said.strip().lower() == OFFSET_STREAM


def has_body(headers: Headers) -> bool:
    """Whether a body comes with the request, as far as its head says."""
    return "transfer-encoding" in headers or headers.get("content-length", "0").strip("0") != ""


def number_of(headers: Headers, name: str) -> int | None:
    """Return the number in a field, None where it is absent. Raises Malformed."""
    said = one_of(headers, name)
    if said is None:
        return None
    if not _NUMBER.fullmatch(said):
        raise Malformed(f"{name} must be a non-negative integer")
    return min(int(said), _ENDLESS)


def defers_length(headers: Headers) -> bool:
    """Whether the length comes later. Raises Malformed for anything but `1`."""
    said = one_of(headers, "Upload-Defer-Length")
    if said not in {None, "1"}:
        raise Malformed("Upload-Defer-Length can only be 1")
    return said is not None


def creation_of(headers: Headers) -> TusCreation:
    """Return what the fields of a creation say. Raises Malformed where they break the rules of tus.

    The name is neither cleaned nor bounded; empty where none was said.
    """
    metadata = one_of(headers, "Upload-Metadata") or None
    pairs = _pairs_of(metadata)
    concat = one_of(headers, "Upload-Concat")
    return TusCreation(
        name=_first(pairs, _NAME_KEYS),
        mime=_first(pairs, _TYPE_KEYS) or None,
        length=number_of(headers, "Upload-Length"),
        metadata=metadata,
        concat=concat,
        source_ids=_sources_of(concat),
    )


def _pairs_of(metadata: str | None) -> dict[str, bytes]:
    pairs: dict[str, bytes] = {}
    for pair in metadata.split(",") if metadata else ():
        key, _, value = pair.strip(" ").partition(" ")
        if not _KEY.fullmatch(key):
            raise Malformed("Upload-Metadata: a key is empty or has invalid characters")
        if key in pairs:
            raise Malformed("Upload-Metadata: all keys must be unique")
        try:
            pairs[key] = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as error:
            raise Malformed("Upload-Metadata: a value is not Base64") from error
    return pairs


def _sources_of(concat: str | None) -> tuple[UploadId, ...]:
    """Return the uploads of which another is made: URLs may be absolute, whatever host they name,
    or relative to that of creation.
    """
    if concat is None or concat == "partial":
        return ()
    kind, semicolon, urls = concat.partition(";")
    if kind != "final" or not semicolon or not urls.strip():
        raise Malformed("Upload-Concat must be `partial`, or `final;` and the URLs of uploads")
    return tuple(_upload_at(url) for url in urls.split())


def upload_id_of(text: str) -> UploadId | None:
    """Return the id in a segment of a path; None: no upload ever had such a name."""
    try:
        upload_id = UploadId(UUID(text))
    except ValueError:
        return None
    return upload_id if str(upload_id) == text.lower() else None


def one_of(headers: Headers, name: str) -> str | None:
    """Return a field's value, None where it is absent. Raises Malformed where it is there twice."""
    said = headers.getlist(name)
    if len(said) > 1:
        raise Malformed(f"{name} is repeated")
    return said[0].strip(" \t") if said else None


def _first(pairs: Mapping[str, bytes], keys: tuple[str, ...]) -> str:
    return next((pairs[key].decode(errors="replace") for key in keys if pairs.get(key)), "")


def _upload_at(url: str) -> UploadId:
    try:
        path = urlsplit(urljoin(PATH, url)).path
    except ValueError as error:  # such as half an IPv6 address
        raise Malformed("Upload-Concat: invalid URL of an upload") from error
    found = _UPLOAD_PATH.fullmatch(path)
    upload_id = upload_id_of(found[1]) if found else None
    if upload_id is None:
        raise Malformed("Upload-Concat: invalid URL of an upload")
    return upload_id


# --- what we say ----------------------------------------------------------------------------------


def location_of(upload: Upload) -> str:
    """Return the upload's URL: a path, as we can't know by which host a proxy is reached."""
    return f"{PATH}/{upload.id}"


def capabilities(max_size_bytes: int, algorithms: tuple[str, ...]) -> dict[str, str]:
    return {
        "Tus-Version": VERSION,
        "Tus-Extension": ",".join(EXTENSIONS),
        "Tus-Max-Size": str(max_size_bytes),
        "Tus-Checksum-Algorithm": ",".join(algorithms),
    }


def expiry_of(upload: Upload) -> dict[str, str]:
    """Return `Upload-Expires`, where an upload is going to."""
    if upload.expires_at is None:
        return {}
    return {"Upload-Expires": http_date(upload.expires_at)}


def standing_of(upload: Upload) -> dict[str, str]:
    """Return all that HEAD says of an upload.

    One that is made of others has no offset until it is finished.
    """
    fields = expiry_of(upload)
    if upload.source_ids is None or upload.state == "finished":
        fields["Upload-Offset"] = str(upload.stored_bytes)
    if upload.size_bytes is None:
        fields["Upload-Defer-Length"] = "1"
    else:
        fields["Upload-Length"] = str(upload.size_bytes)
    if upload.tus_metadata is not None:
        fields["Upload-Metadata"] = upload.tus_metadata
    if upload.tus_concat is not None:
        fields["Upload-Concat"] = upload.tus_concat
    return fields


def http_date(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


class TusLayer:
    """Says `Tus-Resumable` in each answer, and keeps caches away.

    Where there is `X-HTTP-Method-Override`, the method that it names counts, and the request's own
    is ignored (tus 1.0.0).
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_ours(scope["path"]):
            await self.app(scope, receive, send)
            return

        async def send_as_tus(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Tus-Resumable"] = VERSION
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        method = Headers(scope=scope).get("x-http-method-override", "").strip().upper()
        if method and method not in _METHODS:
            problem = NotAllowed(f"{method[:20]!r} is no method that is known here")
            await send_problem(send_as_tus, problem)
            return
        # A copy: the server looks into its own scope to see how it must frame the answer.
        await self.app({**scope, "method": method} if method else scope, receive, send_as_tus)


def _is_ours(path: str) -> bool:
    return path == PATH or path.startswith(f"{PATH}/")
