"""One bucket, by the few calls that every S3 server understands. Only this file knows the SDK.

Put, Get with Range, Head, Delete, multipart with UploadPartCopy, ListObjectsV2, presign: no tags,
no lifecycle, no batch deletes (servers differ in all of them).
"""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, Final

import aioboto3
import aiohttp
from aiobotocore.config import AioConfig
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from pydantic import SecretStr

from sharezync_shared.health import DependencyDown
from sharezync_shared.outage_log import OutageLog
from sharezync_storage.errors import ContentDamaged, StoreFull, StoreUnavailable
from sharezync_storage.settings import StorageSettings
from sharezync_storage.stores.port import PIECE_BYTES, NoSuchBlob

_ABSENT: Final = frozenset({"404", "NoSuchKey", "NoSuchUpload", "NotFound"})
_NO_ROOM: Final = frozenset({"InsufficientStorage", "QuotaExceeded", "XMinioStorageFull", "507"})
_NO_S3: Final = "{where} does not answer as S3 does: set S3_ENDPOINT_URL to the API of the server"
_REFUSES: Final = "{where} refuses requests for the bucket {name}"
_OF_PROXIES: Final = frozenset({"429", "502", "503", "504"})
_ADVICE: Final = {
    "NoSuchBucket": "the bucket {name} doesn't exist at {where}: create it",
    "AccessDenied": "the credentials may not list the bucket {name} at {where}: grant that",
    "InvalidAccessKeyId": "{where} doesn't know the key: set AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "{where} refuses the secret: set AWS_SECRET_ACCESS_KEY",
}
_ALWAYS_TOLD: Final = {
    "put_object": "ETag",
    "get_object": "ETag",
    "head_object": "ETag",
    "create_multipart_upload": "UploadId",
    "upload_part": "ETag",
    "upload_part_copy": "CopyPartResult",
    "complete_multipart_upload": "ETag",
}
"""What every S3 server's answer has."""
_WRONG_PARTS: Final = frozenset({"InvalidPart", "InvalidPartOrder", "EntityTooSmall"})


class InvalidParts(StoreUnavailable):
    """The server has not these parts, or won't make an object of them."""


class Bucket:
    """The bucket `name`, reached as the settings say. Errors are those of the port."""

    def __init__(self, name: str, settings: StorageSettings) -> None:
        self.name = name
        self._settings = settings
        self._stack = AsyncExitStack()
        self._s3: Any = None  # the SDK has no types
        self._signer: Any = None
        self._outage = OutageLog("s3_unavailable", bucket=name)
        self._refusals = OutageLog("s3_refused", bucket=name)

    @property
    def reachable_by_clients(self) -> bool:
        settings = self._settings
        return settings.s3_endpoint_url is None or settings.s3_public_endpoint_url is not None

    async def open(self) -> None:
        """Make ready to connect; the first call connects."""
        settings = self._settings
        self._s3 = await self._client(settings.s3_endpoint_url)
        # The host is part of a signature, so links are signed for the address that clients use.
        public = settings.s3_public_endpoint_url
        self._signer = await self._client(public) if public else self._s3

    async def aclose(self) -> None:
        await self._stack.aclose()

    async def _client(self, endpoint_url: str | None) -> Any:  # noqa: ANN401 - the SDK has no types
        settings = self._settings
        checksums = settings.s3_checksums or (
            "when_supported" if settings.s3_endpoint_url is None else "when_required"
        )
        session = aioboto3.Session(
            aws_access_key_id=_revealed(settings.aws_access_key_id),
            aws_secret_access_key=_revealed(settings.aws_secret_access_key),
            region_name=settings.aws_default_region,
        )
        config = AioConfig(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            request_checksum_calculation=checksums,
            response_checksum_validation=checksums,
            connect_timeout=3,
            read_timeout=30,
            retries={"mode": "standard", "total_max_attempts": 3},
            max_pool_connections=50,
        )
        client = session.client("s3", endpoint_url=endpoint_url, config=config)
        return await self._stack.enter_async_context(client)

    # --- objects ----------------------------------------------------------------------------

    async def put(self, key: str, body: bytes, md5: str) -> None:
        """Keep `body`; `md5` (base64) is checked by the server, the one digest that all know."""
        await self._call("put_object", key, Body=body, ContentMD5=md5)

    @asynccontextmanager
    async def get(
        self, key: str, offset: int = 0, length: int | None = None
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        """Read `length` bytes (at least one) from `offset`, or all. Raises NoSuchBlob."""
        range_ = {}
        if length is not None or offset:
            last = "" if length is None else offset + length - 1
            range_ = {"Range": f"bytes={offset}-{last}"}
        body = (await self._call("get_object", key, **range_))["Body"]
        pieces = self._pieces(body, key, length)
        try:
            yield pieces
        finally:
            await pieces.aclose()
            body.close()  # a connection with an answer that nobody reads is of no further use

    async def size(self, key: str) -> int:
        try:
            return int((await self._call("head_object", key))["ContentLength"])
        except NoSuchBlob:
            # The answer to HEAD has no body that says what is missing: perhaps it's the bucket.
            try:
                await self.check()
            except DependencyDown as error:
                self._refusals.failed(error, key=key)
                raise StoreUnavailable from error
            raise

    async def delete(self, key: str) -> None:
        await self._call("delete_object", key)

    async def keys(self, prefix: str) -> list[str]:
        found: list[str] = []
        page: dict[str, str] = {}
        while True:
            with self._translated(prefix):
                answer = await self._s3.list_objects_v2(Bucket=self.name, Prefix=prefix, **page)
            found += [entry["Key"] for entry in answer.get("Contents", ())]
            if not answer.get("IsTruncated"):
                return found
            page = {"ContinuationToken": answer["NextContinuationToken"]}

    async def check(self) -> None:
        """Raise DependencyDown, with what to do, unless there is such a bucket at an S3 server."""
        where = self._settings.s3_endpoint_url or "AWS"
        try:
            answer = await self._s3.list_objects_v2(Bucket=self.name, MaxKeys=1)
        except ClientError as error:
            code = _code(error)
            # Errors of S3 have names. A number is the status of somebody else's.
            foreign = code.isdigit() and code not in _OF_PROXIES
            advice = _NO_S3 if foreign else _ADVICE.get(code, _REFUSES)
            told = advice.format(name=self.name, where=where)
            raise DependencyDown(f"{told} ({code})") from error
        except (TimeoutError, BotoCoreError, aiohttp.ClientError, OSError) as error:
            raise DependencyDown(f"{where} can't be reached: {type(error).__name__}") from error
        except ResponseParserError as error:
            raise DependencyDown(_NO_S3.format(where=where)) from error
        if answer.get("Name") != self.name:  # well-formed, and nothing of what S3 answers
            raise DependencyDown(_NO_S3.format(where=where))

    async def link(self, operation: str, key: str, expires_in_seconds: int, **given: object) -> str:
        """Return a pre-signed URL for a call of S3 with these parameters. Needs no network."""
        url: str = await self._signer.generate_presigned_url(
            operation,
            Params={"Bucket": self.name, "Key": key, **given},
            ExpiresIn=expires_in_seconds,
        )
        return url

    # --- objects in parts -------------------------------------------------------------------

    async def begin_parts(self, key: str, *, content_type: str | None = None) -> str:
        more = {} if content_type is None else {"ContentType": content_type}
        return str((await self._call("create_multipart_upload", key, **more))["UploadId"])

    async def put_part(self, key: str, upload_id: str, number: int, body: bytes, md5: str) -> str:
        """Upload part `number`, from 1, and return its ETag."""
        part = {"UploadId": upload_id, "PartNumber": number}
        answer = await self._call("upload_part", key, **part, Body=body, ContentMD5=md5)
        return str(answer["ETag"])

    async def copy_part(self, key: str, upload_id: str, number: int, source: str) -> str:
        """Make part `number` of a whole other object, inside the server, and return its ETag."""
        part = {"UploadId": upload_id, "PartNumber": number}
        copied = {"Bucket": self.name, "Key": source}
        answer = await self._call("upload_part_copy", key, **part, CopySource=copied)
        return str(answer["CopyPartResult"]["ETag"])

    async def complete_parts(self, key: str, upload_id: str, etags: Sequence[str]) -> None:
        """Make the parts into the object. Raises InvalidParts, and then nothing has changed."""
        parts = [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, start=1)]
        await self._call(
            "complete_multipart_upload", key, UploadId=upload_id, MultipartUpload={"Parts": parts}
        )

    async def check_parts(self, key: str, upload_id: str) -> None:
        """Raise NoSuchBlob where there is no such multipart upload: none, or none any more."""
        await self._call("list_parts", key, UploadId=upload_id, MaxParts=1)

    async def abort_parts(self, key: str, upload_id: str) -> None:
        """Forget a multipart upload and its parts, whether there is one or not."""
        with contextlib.suppress(NoSuchBlob):
            await self._call("abort_multipart_upload", key, UploadId=upload_id)

    # ----------------------------------------------------------------------------------------

    async def _call(self, operation: str, key: str, **given: object) -> Any:  # noqa: ANN401 - as above
        with self._translated(key):
            answer = await getattr(self._s3, operation)(Bucket=self.name, Key=key, **given)
        if (must_have := _ALWAYS_TOLD.get(operation)) is not None and not answer.get(must_have):
            # Any web server may answer 200; what it then is said to hold was never there.
            self._refusals.failed(f"no {must_have} in the answer", operation=operation, key=key)
            raise StoreUnavailable
        return answer

    async def _pieces(self, body: Any, key: str, length: int | None) -> AsyncGenerator[bytes]:  # noqa: ANN401 - as above
        left = length
        while True:
            with self._translated(key):
                piece: bytes = await body.read(PIECE_BYTES)
            if not piece:
                break
            yield piece
            left = None if left is None else left - len(piece)
        if left:
            raise ContentDamaged

    @contextmanager
    def _translated(self, key: str) -> Generator[None]:
        try:
            yield
        except ClientError as error:
            code = _code(error)
            if code in _ABSENT:
                raise NoSuchBlob(key) from error
            self._refusals.failed(code, operation=error.operation_name, key=key)
            if code in _WRONG_PARTS:
                raise InvalidParts from error
            raise (StoreFull if code in _NO_ROOM else StoreUnavailable) from error
        except (
            TimeoutError,
            BotoCoreError,
            ResponseParserError,
            aiohttp.ClientError,
            OSError,
        ) as error:
            self._outage.failed(error, key=key)
            raise StoreUnavailable from error


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
