"""The servers that tests get are real, and each test's share of them is its own."""

import asyncio
from pathlib import Path

import aio_pika
import asyncpg
import boto3
import pytest
from botocore.config import Config

from sharezync_shared.db.migrations import Migrations
from sharezync_testkit.servers import Databases, S3Server


async def test_a_fresh_database_is_empty_and_its_own(
    database_url: str, fresh_database_url: str, databases: Databases
) -> None:
    connection = await asyncpg.connect(fresh_database_url)
    await connection.execute("CREATE TABLE t (n int)")
    await connection.close()
    assert await _tables(fresh_database_url) == 1
    assert await _tables(database_url) == 0
    copy = databases.new(template_url=fresh_database_url)
    assert await _tables(copy) == 1
    databases.drop(copy)
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(copy)


MIGRATION = """
from alembic import op
revision, down_revision = "0001", None
def upgrade():
    op.execute("CREATE TABLE made.t AS SELECT pg_backend_pid()")
def downgrade():
    pass
"""
ENVIRONMENT = """
from sharezync_shared.db.migrating import run_env
from sqlalchemy import MetaData
run_env(MetaData(schema="made"))
"""


def test_migrated_databases_are_copies_of_one_that_was_migrated_once(
    databases: Databases, tmp_path: Path
) -> None:
    (tmp_path / "versions").mkdir()
    (tmp_path / "versions" / "0001.py").write_text(MIGRATION)
    (tmp_path / "env.py").write_text(ENVIRONMENT)
    migrations = Migrations(str(tmp_path), "made")
    urls = [databases.migrated(migrations) for _ in range(2)]

    async def migrated_by(url: str) -> int:
        connection = await asyncpg.connect(url)
        try:
            return int(await connection.fetchval("SELECT * FROM made.t"))
        finally:
            await connection.close()

    async def all_of_them() -> list[int]:
        return [await migrated_by(url) for url in urls]

    first, second = asyncio.run(all_of_them())
    assert urls[0] != urls[1]
    assert first == second


async def test_virtual_hosts_share_a_broker_but_no_queues(
    amqp_url: str, fresh_amqp_url: str
) -> None:
    async with (
        await aio_pika.connect(amqp_url) as one,
        await aio_pika.connect(fresh_amqp_url) as other,
    ):
        channel = await one.channel()
        await channel.declare_queue("here", exclusive=True)
        with pytest.raises(aio_pika.exceptions.ChannelNotFoundEntity):
            await (await other.channel()).declare_queue("here", passive=True)


def test_the_s3_server_keeps_objects(s3_server: S3Server) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=s3_server.endpoint_url,
        aws_access_key_id=s3_server.access_key_id,
        aws_secret_access_key=s3_server.secret_access_key,
        region_name=s3_server.region,
        config=Config(s3={"addressing_style": "path"}),
    )
    bucket = s3_server.bucket()
    client.put_object(Bucket=bucket, Key="a/b", Body=b"bytes")
    assert client.get_object(Bucket=bucket, Key="a/b")["Body"].read() == b"bytes"
    assert client.list_objects_v2(Bucket=s3_server.bucket())["KeyCount"] == 0
    client.close()


async def _tables(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        count = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        return int(await connection.fetchval(count))
    finally:
        await connection.close()
