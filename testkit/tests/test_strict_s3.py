"""The strict S3 server for tests: one for all who name its folder, and nothing stays behind."""

import asyncio
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from sharezync_embedded.processes import ProcessIdentity
from sharezync_testkit.server_fixtures import Script
from sharezync_testkit.servers import end_servers
from sharezync_testkit.strict_s3 import StrictS3Failed, StrictS3Server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Swift is for Linux")

START_AND_WAIT = """
import sys
from pathlib import Path
from sharezync_testkit.strict_s3 import StrictS3Server

server = StrictS3Server(Path(sys.argv[1]))
server.start()
print("started", flush=True)
sys.stdin.read()
"""


def client_of(server: StrictS3Server, endpoint_url: str, **more: Any) -> Any:
    keys = {
        "aws_access_key_id": server.access_key_id,
        "aws_secret_access_key": server.secret_access_key,
    }
    return boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        region_name=server.region,
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        **keys | more,
    )


@pytest.fixture
def client(strict_s3_server: StrictS3Server) -> Iterator[Any]:
    client = client_of(strict_s3_server, strict_s3_server.endpoint_url)
    yield client
    client.close()


def test_it_keeps_objects(strict_s3_server: StrictS3Server, client: Any) -> None:
    bucket = strict_s3_server.bucket()
    client.put_object(Bucket=bucket, Key="a/b", Body=b"bytes")
    assert client.get_object(Bucket=bucket, Key="a/b")["Body"].read() == b"bytes"
    assert client.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
    assert client.list_objects_v2(Bucket=strict_s3_server.bucket())["KeyCount"] == 0


def test_another_secret_is_refused(strict_s3_server: StrictS3Server) -> None:
    stranger = client_of(
        strict_s3_server, strict_s3_server.endpoint_url, aws_secret_access_key="guessed"
    )
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        stranger.list_objects_v2(Bucket=strict_s3_server.bucket())
    stranger.close()


async def test_a_line_of_ones_own_can_be_cut_and_mended(
    strict_s3_server: StrictS3Server, client: Any
) -> None:
    bucket = strict_s3_server.bucket()
    async with strict_s3_server.line() as line:
        far = client_of(strict_s3_server, line.endpoint_url)
        await asyncio.to_thread(far.put_object, Bucket=bucket, Key="k", Body=b"1")
        line.chaos.refuse()
        with pytest.raises(BotoCoreError):
            await asyncio.to_thread(far.put_object, Bucket=bucket, Key="k", Body=b"2")
        body = (await asyncio.to_thread(client.get_object, Bucket=bucket, Key="k"))["Body"].read()
        assert body == b"1"
        line.chaos.heal()
        await asyncio.to_thread(far.put_object, Bucket=bucket, Key="k", Body=b"3")
        far.close()


def test_its_users_share_it_and_the_last_one_ends_it(folder: Path) -> None:
    first, second = StrictS3Server(folder), StrictS3Server(folder)
    endpoint_url, pids = first.start(), first.pids()
    processes = [ProcessIdentity.from_pid(pid) for pid in pids]
    assert second.start() == endpoint_url
    assert second.pids() == pids
    assert first.stop() is False
    assert second.bucket()
    assert second.stop() is True
    assert not any(process.alive() for process in processes)
    with pytest.raises(StrictS3Failed, match="no S3 server runs"):
        _ = second.endpoint_url


def test_what_a_killed_user_left_is_taken_over_and_can_be_ended(
    folder: Path, python: Script
) -> None:
    user = python(START_AND_WAIT, folder)
    assert user.stdout is not None
    assert user.stdout.readline() == "started\n"
    server = StrictS3Server(folder)
    pids = server.pids()
    processes = [ProcessIdentity.from_pid(pid) for pid in pids]
    user.kill()
    user.communicate()
    server.start()
    assert server.pids() == pids
    end_servers(folder)
    assert not any(process.alive() for process in processes)


def test_a_server_of_which_a_part_died_is_started_again(folder: Path) -> None:
    with StrictS3Server(folder) as server:
        bucket, before = server.bucket(), server.pids()
        psutil.Process(before[0]).kill()
        server.start()
        assert len(server.pids()) == len(before)
        assert not set(server.pids()) & set(before)
        client = client_of(server, server.endpoint_url)
        assert client.list_objects_v2(Bucket=bucket)["KeyCount"] == 0  # what it kept, it has
        client.close()


def test_a_filesystem_without_extended_attributes_is_named_as_the_reason(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(os, "setxattr", unsupported)
    with pytest.raises(StrictS3Failed, match=r"keeps no extended attributes .*let TMPDIR name"):
        StrictS3Server(folder).start()
