"""`sharezync-server backup` and `restore`: what is in an archive, and what is refused."""

import asyncio
import json
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import httpx
import msgspec
import pytest

from sharezync_embedded import archive
from sharezync_embedded.__main__ import main
from sharezync_embedded.archive import BackupRefused, Manifest
from sharezync_embedded.backup import back_up
from sharezync_embedded.occupancy import RESTORING, sole_use
from sharezync_embedded.postgres import EmbeddedPostgres
from sharezync_embedded.restore import restore
from sharezync_shared.settings import Settings
from sharezync_testkit.one_process import OneProcess
from sharezync_testkit.servers import end_servers

pytestmark = [pytest.mark.timeout(180)]

FILE = os.urandom(100_000)
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def place(run_folder: Path) -> Iterator[Path]:
    """A folder that the account of PostgreSQL can reach."""
    path = run_folder / "backups"
    path.mkdir()
    yield path
    end_servers(path)
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def installation(place: Path) -> Path:
    """The data folder of an installation with a user and a file, at rest."""
    folder = place / "data"
    product = OneProcess(folder)
    product.start()
    try:
        with httpx.Client(base_url=product.url) as http:
            account = {"username": "ada", "email": "ada@example.com", "password": PASSWORD}
            assert http.post("/v1/auth/register", json=account).is_success
            login = {"grant_type": "password", "username": "ada", "password": PASSWORD}
            token = http.post("/token", data=login).json()["access_token"]
            http.headers["Authorization"] = f"Bearer {token}"
            assert http.post("/v1/files", files={"file": ("a.bin", FILE)}).is_success
    finally:
        product.stop()
    return folder


@pytest.fixture(scope="module")
def backup(installation: Path, place: Path) -> Path:
    destination = place / "backup"
    assert main(["backup", str(destination), "--data-dir", str(installation)]) == 0
    return destination


@pytest.fixture
def copied(backup: Path, folder: Path) -> Path:
    """A copy of the backup, to be damaged."""
    return Path(shutil.copytree(backup, folder / "copy"))


def settings(data_dir: Path, **more: str) -> Settings:
    return Settings(_env_file=None, data_dir=data_dir, **more)  # type: ignore[arg-type]  # fields of it


def epochs(data_dir: Path) -> list[str]:
    async def read(url: str) -> list[str]:
        connection = await asyncpg.connect(url)
        try:
            return [
                await connection.fetchval(f"SELECT epoch FROM {schema}.stream_epoch")
                for schema in ("auth", "chat", "storage", "transfer")
            ]
        finally:
            await connection.close()

    with EmbeddedPostgres(data_dir) as postgres:
        return asyncio.run(read(postgres.url()))


def test_an_archive_is_for_its_owner_alone_and_says_what_it_is(
    backup: Path, installation: Path
) -> None:
    for path in (backup, *backup.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    manifest = json.loads((backup / "manifest.json").read_bytes())
    assert manifest["revisions"].keys() == {"auth", "chat", "storage", "transfer"}
    assert (manifest["file_count"], manifest["file_bytes"]) == (1, len(FILE))
    assert (backup / "secret_key").read_bytes() == (installation / "secret_key").read_bytes()
    (file,) = (path for path in (backup / "files").rglob("*") if path.is_file())
    assert file.read_bytes() == FILE


def test_what_is_restored_has_other_epochs_its_files_and_no_login(
    backup: Path, installation: Path, folder: Path
) -> None:
    restore(settings(folder / "new"), backup)
    assert not set(epochs(folder / "new")) & set(epochs(installation))
    (file,) = (p for p in (folder / "new/files").rglob("*") if p.is_file())
    assert file.read_bytes() == FILE
    before = epochs(folder / "new")
    product = OneProcess(folder / "new")
    product.start()
    with httpx.Client(base_url=product.url) as http:
        login = {"grant_type": "password", "username": "ada", "password": PASSWORD}
        token = http.post("/token", data=login).json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        (listed,) = http.get("/v1/files").json()["items"]
        assert http.get(f"/v1/files/{listed['id']}/content").content == FILE
        assert len(http.get("/v1/auth/sessions").json()["items"]) == 1
    product.stop()
    assert epochs(folder / "new") == before, "a start in good order goes on in the same epochs"


def test_a_data_folder_that_was_copied_back_has_other_epochs(
    installation: Path, folder: Path
) -> None:
    """The backup that people make who have read nothing: a copy of the folder at rest."""
    shutil.copytree(installation, folder / "copy", symlinks=True)
    if os.geteuid() == 0:
        owner = (installation / "postgres").stat()
        for path in (folder / "copy/postgres", *(folder / "copy/postgres").rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)
    before = epochs(folder / "copy")
    product = OneProcess(folder / "copy")
    product.start()
    product.stop()
    assert not set(epochs(folder / "copy")) & set(before)


# --- refused ------------------------------------------------------------------------------------


def test_refusals_are_one_sentence_and_exit_status_2(
    backup: Path, installation: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command, folder in (("backup", backup), ("restore", backup)):
        assert main([command, str(folder), "--data-dir", str(installation)]) == 2
        captured = capsys.readouterr()
        assert (captured.out, captured.err.count("\n")) == ("", 1)


def refused(backup: Path, data_dir: Path, why: str, **more: str) -> None:
    with pytest.raises(BackupRefused, match=why):
        restore(settings(data_dir, **more), backup)


def test_a_running_product_is_not_restored_into(
    backup: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sharezync_embedded.occupancy._PREDECESSOR_SECONDS", 0.1)
    with sole_use(folder / "running"):
        refused(backup, folder / "running", "another ShareZync serves this data folder")


def test_a_folder_that_is_not_empty_is_left_as_it_is(backup: Path, installation: Path) -> None:
    before = epochs(installation)
    refused(backup, installation, "is not empty")
    assert epochs(installation) == before


def test_every_kind_of_damage_is_noticed(copied: Path, folder: Path) -> None:
    (file,) = (path for path in (copied / "files").rglob("*") if path.is_file())
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    refused(copied, folder / "new", r"files/\S+ in \S+ has another SHA-256")
    file.unlink()
    refused(copied, folder / "new", r"files/\S+ is missing")
    file.write_bytes(whole)
    (copied / "files" / "more").touch()
    refused(copied, folder / "new", "files/more is no part")
    (copied / "files" / "more").unlink()
    sums = copied / "SHA256SUMS"
    lines = sums.read_text().splitlines(keepends=True)
    sums.write_text("".join(lines[:-1]))
    refused(copied, folder / "new", "is no part")
    sums.unlink()
    refused(copied, folder / "new", "no complete backup")
    assert [path.name for path in (folder / "new").iterdir()] == [".serving.lock"]


def resealed(copied: Path, manifest: Manifest) -> None:
    (copied / "manifest.json").unlink()
    (copied / "SHA256SUMS").unlink()
    archive.write(copied, "manifest.json", msgspec.json.encode(manifest))
    archive.seal(copied, {})


def test_tables_that_this_version_does_not_know_are_not_restored(
    copied: Path, folder: Path
) -> None:
    manifest = archive.verified(copied)
    revisions = {**manifest.revisions, "chat": "9999"}
    resealed(copied, msgspec.structs.replace(manifest, revisions=revisions, version="99.0"))
    refused(copied, folder / "new", "of version 99.0, whose tables of chat")
    resealed(copied, msgspec.structs.replace(manifest, format=2))
    refused(copied, folder / "new", "newer version")


def test_a_secret_that_is_not_in_the_backup_must_be_given_and_be_the_same(
    copied: Path, folder: Path
) -> None:
    (copied / "secret_key").unlink()
    resealed(copied, msgspec.json.decode((copied / "manifest.json").read_bytes(), type=Manifest))
    refused(copied, folder / "new", "has no SECRET_KEY")
    another = "wX3vP9qLkT7mZr5nB1cY8dF6gH2jS4aEoUi"
    refused(copied, folder / "new", "not the one of the installation", secret_key=another)
    with pytest.raises(SystemExit, match="did not end"), sole_use(folder / "new"):
        pass


def test_another_servers_database_is_left_to_its_own_means(folder: Path) -> None:
    given = settings(folder, database_url="postgresql://db.example/sharezync")
    for act in (back_up, restore):
        with pytest.raises(BackupRefused, match="DATABASE_URL is given"):
            act(given, folder / "backup")


def test_an_empty_installation_has_nothing_to_back_up(folder: Path) -> None:
    with pytest.raises(BackupRefused, match="nothing to back up"):
        back_up(settings(folder), folder / "backup")


def test_nothing_starts_where_a_restore_did_not_end(folder: Path) -> None:
    (folder / RESTORING).touch()
    with pytest.raises(SystemExit, match="did not end"), sole_use(folder):
        pass
