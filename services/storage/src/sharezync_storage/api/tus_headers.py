"""The header fields of tus 1.0.0: read strictly, written in one place. Pure.

Source: tus resumable upload protocol 1.0.0 (tus.io/protocols/resumable-upload).
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Final
from urllib.parse import urljoin, urlsplit
from uuid import UUID

from starlette.datastructures import Headers

from sharezync_shared.problems import Malformed
from sharezync_storage.models import Upload, UploadId
from sharezync_storage.problems import NotAnOffsetStream, TusVersionUnsupported

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


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a client says of the file, beside its bytes. `given` is the field as it came."""

    given: str | None
    name: str
    """Neither cleaned nor bounded; empty where none was said."""
    mime: str | None


@dataclass(frozen=True, slots=True)
class Concat:
    """`Upload-Concat`: without `sources` a part of something larger, else that which is made."""

    given: str
    sources: tuple[UploadId, ...] = ()


def check_version(headers: Headers) -> None:
    """Raise TusVersionUnsupported for any version but ours; one that says none knows no tus."""
    said = headers.getlist("tus-resumable")
    if said != [VERSION]:
        detail = f"Send `Tus-Resumable: {VERSION}`"
        raise TusVersionUnsupported(detail, headers={"Tus-Version": VERSION})


def check_offset_stream(headers: Headers) -> None:
    """Raise NotAnOffsetStream unless the body is said to be bytes of an upload."""
    if not is_offset_stream(headers):
        raise NotAnOffsetStream


def is_offset_stream(headers: Headers) -> bool:
    """Whether the body is said to be bytes of an upload."""
    said = headers.get("content-type", "").partition(";")[0]
    return said.strip().lower() == OFFSET_STREAM


def has_body(headers: Headers) -> bool:
    """Whether a body comes with the request, as far as its head tells."""
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
    """Whether the length is to be told later. Raises Malformed for anything but `1`."""
    said = one_of(headers, "Upload-Defer-Length")
    if said not in {None, "1"}:
        raise Malformed("Upload-Defer-Length can only be 1")
    return said is not None


def metadata_of(headers: Headers) -> Metadata:
    """Return what `Upload-Metadata` says. Raises Malformed where it breaks the rules of tus."""
    given = one_of(headers, "Upload-Metadata")
    pairs: dict[str, bytes] = {}
    for pair in given.split(",") if given else ():
        key, _, value = pair.strip(" ").partition(" ")
        if not _KEY.fullmatch(key):
            raise Malformed("Upload-Metadata: a key is empty or has invalid characters")
        if key in pairs:
            raise Malformed("Upload-Metadata: all keys must be unique")
        try:
            pairs[key] = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as error:
            raise Malformed("Upload-Metadata: a value is not Base64") from error
    return Metadata(given or None, _first(pairs, _NAME_KEYS), _first(pairs, _TYPE_KEYS) or None)


def concat_of(headers: Headers) -> Concat | None:
    """Return what `Upload-Concat` says, None where it is absent. Raises Malformed.

    URLs may be absolute, whatever host they name, or relative to that of creation.
    """
    given = one_of(headers, "Upload-Concat")
    if given is None or given == "partial":
        return None if given is None else Concat(given)
    kind, semicolon, urls = given.partition(";")
    if kind != "final" or not semicolon or not urls.strip():
        raise Malformed("Upload-Concat must be `partial`, or `final;` and the URLs of uploads")
    return Concat(given, tuple(_upload_at(url) for url in urls.split()))


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
    """Return the answer to OPTIONS."""
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
    """Return all that HEAD tells of an upload.

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
    """Return a time as header fields tell it (RFC 9110 §5.6.7)."""
    return format_datetime(moment, usegmt=True)
