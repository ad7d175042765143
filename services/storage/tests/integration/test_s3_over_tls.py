"""The store over TLS: only there the SDK may send bodies in chunks with checksums behind them.

Some servers have kept such trailers as part of the file (SeaweedFS#6548), so what comes back is
compared byte for byte.
"""

import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from ssl import create_default_context

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from services.storage.tests.store_contract import cut, pieces_of, plan_for, read, sha256, write
from sharezync_shared.ids import uuid7
from sharezync_storage.keys import file_key
from sharezync_storage.settings import StorageSettings
from sharezync_storage.stores.s3 import PART_BYTES, S3Store
from sharezync_testkit.waiting import wait_until


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 and its key."""
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    certificate, private = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, private


@pytest.fixture(scope="module")
def endpoint(
    certificate: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Serve the S3 API over TLS."""
    log_path = tmp_path_factory.mktemp("s3-tls") / "log"
    cert, key = map(str, certificate)
    with log_path.open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-p", "0", "-s", "-c", cert, "-k", key],
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + 40
        while not (found := re.search(r"(https://127\.0\.0\.1:\d+)", log_path.read_text())):
            assert server.poll() is None, log_path.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield found[1]
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def bucket(endpoint: str, certificate: tuple[Path, Path]) -> str:
    name = f"bucket-{uuid7().hex}"
    making = urllib.request.Request(f"{endpoint}/{name}", method="PUT")
    trust = create_default_context(cafile=str(certificate[0]))
    urllib.request.urlopen(making, timeout=20, context=trust).close()
    return name


@pytest.fixture(params=["when_required", "when_supported"])
async def store(
    request: pytest.FixtureRequest,
    endpoint: str,
    bucket: str,
    certificate: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncGenerator[S3Store]:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate[0]))
    settings = StorageSettings(
        _env_file=None,
        s3_bucket_name=bucket,
        aws_access_key_id="test-key",
        aws_secret_access_key="test-secret",
        s3_endpoint_url=endpoint,
        s3_checksums=request.param,
    )
    open_before = descriptors()
    store = S3Store(bucket, settings)
    await store.start()
    yield store
    await store.aclose()
    # TLS says goodbye in the background; a loop that ends earlier leaves its sockets to others.
    await wait_until(lambda: descriptors() <= open_before)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("size", [0, 1000, 2 * PART_BYTES + 1])
async def test_a_blob_comes_back_byte_for_byte(store: S3Store, size: int) -> None:
    data, key = os.urandom(size), file_key(uuid7())
    stored = await store.put(key, pieces_of(data))
    assert (stored.size_bytes, stored.sha256) == (size, sha256(data))
    assert await store.size(key) == size
    assert await read(store, key) == data


async def test_chunks_come_back_byte_for_byte(store: S3Store) -> None:
    data, key = os.urandom(2 * PART_BYTES + 1), file_key(uuid7())
    plan = plan_for(data, PART_BYTES)
    chunks = cut(plan, data)
    for index, chunk in enumerate(chunks):
        await write(store, plan, index, chunk)
        assert await store.read_chunk(plan, index, sha256(chunk)) == chunk
    await store.assemble_chunks(plan, key, [sha256(chunk) for chunk in chunks])
    assert await read(store, key) == data
