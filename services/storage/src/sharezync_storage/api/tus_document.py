"""The OpenAPI description of tus: header fields of requests and responses."""

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
    "description": "Id of the upload, from `Location`",
    "schema": {"type": "string", "format": "uuid"},
    "example": _ID,
}
ANY_UPLOAD_ID: Final[Fragment] = {
    **UPLOAD_ID,
    "description": "Any value",
    "schema": {"type": "string", POLICY: PARSED},
}
TUS: Final = _field(
    "Tus-Resumable", VERSION, "Version of tus", required=True, type="string", enum=[VERSION]
)
LENGTH: Final = _field("Upload-Length", 1048576, "Size of the file in bytes", **_NUMBER)
LATER_LENGTH: Final = _field(
    "Upload-Length",
    1048576,
    "Size of the file, once it is known, if it was deferred",
    **_NUMBER,
)
DEFER_LENGTH: Final = _field(
    "Upload-Defer-Length",
    1,
    "Instead of `Upload-Length`: the size isn't known yet",
    type="integer",
    enum=[1],
)
METADATA: Final = _field(
    "Upload-Metadata",
    _METADATA,
    "Keys with Base64 values. `filename` or `name` and `filetype`, `type` or `mime` describe the "
    "file; all are stored and returned unchanged",
)
CONCAT: Final = _field(
    "Upload-Concat",
    "partial",
    "`partial` for a part of a larger file; `final;` and the URLs of complete parts, in order and "
    "separated by spaces, to concatenate them",
    type="string",
    pattern=r"^(partial|final;.+)$",
)
OFFSET: Final = _field(
    "Upload-Offset", 0, "Offset of the body, as HEAD returns it", required=True, **_NUMBER
)
CHECKSUM: Final = _field(
    "Upload-Checksum",
    _SHA1,
    "Checksum of the body: `sha1`, `sha256`, `md5` or `crc32`, and the Base64 digest. If the body "
    "is incomplete or doesn't match, all of it is discarded",
)
OVERRIDE: Final = _field(
    "X-HTTP-Method-Override",
    "PATCH",
    "The method to use",
    required=True,
    type="string",
    enum=["PATCH", "DELETE", "HEAD"],
)


def body(*, required: bool) -> Fragment:
    schema = {"type": "string", "format": "binary"}
    return {"requestBody": {"required": required, "content": {OFFSET_STREAM: {"schema": schema}}}}


_TUS: Final = {"Tus-Resumable": _said(VERSION, "Version of tus", required=True, type="string")}
_EXPIRY: Final = {
    "Upload-Expires": _said(_EXPIRES, "When an unfinished upload expires (RFC 9110 §5.6.7)")
}
_NEW_OFFSET: Final = _said(524288, "Offset of the next byte, from 0", **_NUMBER)
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
        "description": "Offset of the next byte; absent while parts are being concatenated",
    },
    "Upload-Length": _said(1048576, "Size of the file, once it is known", **_NUMBER),
    "Upload-Defer-Length": _said(1, "Present while the size isn't known", type="integer", enum=[1]),
    "Upload-Metadata": _said(_METADATA, "As sent on creation"),
    "Upload-Concat": _said("partial", "As sent on creation"),
    "Cache-Control": _said(
        "no-store", "Responses must not be cached", required=True, type="string"
    ),
}

CAPABLE: Final[Answers] = {
    204: {
        "description": "Supported features",
        "headers": {
            **_TUS,
            "Tus-Version": _said(VERSION, "Supported versions", required=True, type="string"),
            "Tus-Extension": _said(",".join(EXTENSIONS), "Supported extensions", required=True),
            "Tus-Max-Size": _said(
                5368709120, "Maximum size of a file in bytes", required=True, **_NUMBER
            ),
            "Tus-Checksum-Algorithm": _said(
                "sha1,sha256,md5,crc32", "Supported checksum algorithms", required=True
            ),
        },
    }
}
CREATED: Final[Answers] = {
    201: {
        "description": "The upload was created",
        "headers": {
            **_TUS,
            **_EXPIRY,
            "Location": _said(_LOCATION, "Path of the upload", required=True, type="string"),
            "Upload-Offset": {
                **_NEW_OFFSET,
                "description": "Offset of the next byte, if the request had a body or the upload "
                "existed already",
            },
        },
    }
}
STANDING: Final[Answers] = {200: {"description": "State of the upload", "headers": _STANDING}}
PATCHED: Final[Answers] = {204: {"description": "The bytes are stored", "headers": _PATCHED}}
TERMINATED: Final[Answers] = {204: {"description": "The upload was cancelled", "headers": _TUS}}
OVERRIDDEN: Final[Answers] = {
    200: {"description": "Response of HEAD", "headers": _STANDING},
    204: {
        "description": "Response of PATCH or DELETE",
        "headers": {**_TUS, **_EXPIRY, "Upload-Offset": _NEW_OFFSET},
    },
}
