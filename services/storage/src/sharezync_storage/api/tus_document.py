"""How the tus door is told in OpenAPI: its header fields, both ways, and its answers."""

from typing import Any, Final

from sharezync_shared.names.policies import PARSED, POLICY
from sharezync_storage.api.tus_headers import EXTENSIONS, OFFSET_STREAM, VERSION

Fragment = dict[str, Any]
Answers = dict[int | str, Fragment]

_ID: Final = "01936f0c-2b7e-7d33-8a53-6d9f4c1e2b70"
_LOCATION: Final = f"/v1/uploads/{_ID}"
_EXPIRES: Final = "Sun, 06 Nov 2033 08:49:37 GMT"
_SHA1: Final = "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0="
_METADATA: Final = "filename aG9saWRheS5qcGc=,filetype aW1hZ2UvanBlZw=="
_NUMBER: Final[Fragment] = {"type": "integer", "minimum": 0}


def _field(name: str, example: object, description: str, **schema: object) -> Fragment:
    """Return a header field of requests."""
    required = bool(schema.pop("required", False))
    return {
        "name": name,
        "in": "header",
        "required": required,
        "description": description,
        "schema": schema or {"type": "string", POLICY: PARSED},
        "example": example,
    }


def _said(example: object, description: str, **schema: object) -> Fragment:
    """Return a header field of answers."""
    required = bool(schema.pop("required", False))
    return {
        "description": description,
        "required": required,
        "schema": schema or {"type": "string"},
        "example": example,
    }


UPLOAD_ID: Final[Fragment] = {
    "name": "upload_id",
    "in": "path",
    "required": True,
    "description": "From `Location`",
    "schema": {"type": "string", "format": "uuid"},
    "example": _ID,
}
ANY_UPLOAD_ID: Final[Fragment] = {
    **UPLOAD_ID,
    "description": "Whatever it is",
    "schema": {"type": "string", POLICY: PARSED},
}
TUS: Final = _field(
    "Tus-Resumable", VERSION, "The version of tus", required=True, type="string", enum=[VERSION]
)
LENGTH: Final = _field("Upload-Length", 1048576, "Size of the whole in bytes", **_NUMBER)
LATER_LENGTH: Final = _field(
    "Upload-Length",
    1048576,
    "Size of the whole, in the first request that knows it, where it was deferred",
    **_NUMBER,
)
DEFER_LENGTH: Final = _field(
    "Upload-Defer-Length", 1, "Instead of `Upload-Length`: it comes later", type="integer", enum=[1]
)
METADATA: Final = _field(
    "Upload-Metadata",
    _METADATA,
    "Keys with values in Base64. `filename` or `name`, `filetype` or `type` or `mime` describe the "
    "file; all are kept, and told as they came",
)
CONCAT: Final = _field(
    "Upload-Concat",
    "partial",
    "`partial` for a part of something larger; `final;` and the URLs of complete parts, in order "
    "and parted by spaces, for what is made of them",
    type="string",
    pattern=r"^(partial|final;.+)$",
)
OFFSET: Final = _field(
    "Upload-Offset", 0, "Where the body begins: what HEAD told", required=True, **_NUMBER
)
CHECKSUM: Final = _field(
    "Upload-Checksum",
    _SHA1,
    "Of this body: `sha1`, `sha256`, `md5` or `crc32`, and the digest in Base64. Nothing of the "
    "body is kept unless all of it came and it matches",
)
OVERRIDE: Final = _field(
    "X-HTTP-Method-Override",
    "PATCH",
    "The method that is meant",
    required=True,
    type="string",
    enum=["PATCH", "DELETE", "HEAD"],
)


def body(*, required: bool) -> Fragment:
    """Return the bytes of an upload as the body of a request."""
    schema = {"type": "string", "format": "binary"}
    return {"requestBody": {"required": required, "content": {OFFSET_STREAM: {"schema": schema}}}}


_TUS: Final = {"Tus-Resumable": _said(VERSION, "The version of tus", required=True, type="string")}
_EXPIRY: Final = {
    "Upload-Expires": _said(_EXPIRES, "When an unfinished upload is given up (RFC 9110 §5.6.7)")
}
_NEW_OFFSET: Final = _said(524288, "The next byte that is wanted, from 0", **_NUMBER)
_PATCHED: Final[Fragment] = {
    **_TUS,
    **_EXPIRY,
    "Upload-Offset": {**_NEW_OFFSET, "required": True},
}
_STANDING: Final[Fragment] = {
    **_TUS,
    **_EXPIRY,
    "Upload-Offset": {
        **_NEW_OFFSET,
        "description": "The next byte that is wanted; absent while parts are being joined",
    },
    "Upload-Length": _said(1048576, "Size of the whole, once it is known", **_NUMBER),
    "Upload-Defer-Length": _said(1, "While the size is not known", type="integer", enum=[1]),
    "Upload-Metadata": _said(_METADATA, "As it came"),
    "Upload-Concat": _said("partial", "As it came"),
    "Cache-Control": _said("no-store", "Never to be kept", required=True, type="string"),
}

CAPABLE: Final[Answers] = {
    204: {
        "description": "What is spoken here",
        "headers": {
            **_TUS,
            "Tus-Version": _said(VERSION, "All versions", required=True, type="string"),
            "Tus-Extension": _said(",".join(EXTENSIONS), "All extensions", required=True),
            "Tus-Max-Size": _said(5368709120, "Of one file, in bytes", required=True, **_NUMBER),
            "Tus-Checksum-Algorithm": _said("sha1,sha256,md5,crc32", "All of them", required=True),
        },
    }
}
CREATED: Final[Answers] = {
    201: {
        "description": "There is a place for it",
        "headers": {
            **_TUS,
            **_EXPIRY,
            "Location": _said(_LOCATION, "The upload's URL: a path", required=True, type="string"),
            "Upload-Offset": {
                **_NEW_OFFSET,
                "description": "Where bytes came along, or it had begun before with this key: the "
                "next one that is wanted",
            },
        },
    }
}
STANDING: Final[Answers] = {200: {"description": "How far it is", "headers": _STANDING}}
PATCHED: Final[Answers] = {204: {"description": "The bytes are durable", "headers": _PATCHED}}
TERMINATED: Final[Answers] = {204: {"description": "It is gone", "headers": _TUS}}
OVERRIDDEN: Final[Answers] = {
    200: {"description": "As HEAD answers", "headers": _STANDING},
    204: {
        "description": "As PATCH or DELETE answers",
        "headers": {**_TUS, **_EXPIRY, "Upload-Offset": _NEW_OFFSET},
    },
}
