"""Copies of a PostgreSQL cluster: for tests of restores and failovers."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from sharezync_embedded.account import account_for
from sharezync_embedded.cluster import SOCKET_NAME, Cluster
from sharezync_embedded.postgres import EmbeddedPostgres
from sharezync_testkit.waiting import GIVE_UP_SECONDS


def base_backup(
    postgres: EmbeddedPostgres,
    data_dir: Path,
    *,
    signal: str | None = None,
    settings: Mapping[str, str] | None = None,
) -> EmbeddedPostgres:
    """Copy a running cluster with pg_basebackup into `data_dir`; return the copy, not started.

    `signal` is the file that says what it is to do at its start: `standby` or `recovery`;
    `settings` are those of its own.
    """
    cluster = data_dir / "postgres"
    data_dir.mkdir(parents=True, exist_ok=True)
    postgres.run_client(
        "pg_basebackup",
        *(f"--pgdata={cluster}", "--checkpoint=fast", "--wal-method=stream", "--no-sync"),
        database="dbname=postgres",
    )
    (cluster / f"{SOCKET_NAME}.lock").unlink(missing_ok=True)  # of the running one
    if signal is not None:
        (cluster / f"{signal}.signal").touch()
    with (cluster / "postgresql.auto.conf").open("a") as file:
        file.writelines(f"{name} = '{value}'\n" for name, value in (settings or {}).items())
    give_to_server(data_dir)
    return EmbeddedPostgres(data_dir, durable=False)


def give_to_server(data_dir: Path) -> None:
    """Let the account that servers run as own the files of a copied cluster."""
    root = data_dir / "postgres"
    if os.geteuid() == 0:
        # Files of root's tell nothing of who is to run the server; those of no cluster do.
        account = account_for(data_dir / "none")
        for path in (root, *root.rglob("*")):
            account.give(path)
        account.let_reach(root / "any")


def standby_of(postgres: EmbeddedPostgres, primary_dir: Path, data_dir: Path) -> EmbeddedPostgres:
    """Return a standby that follows the running server of `primary_dir`, not started."""
    host = quote(str(primary_dir / "postgres"), safe="/")
    settings = {"primary_conninfo": f"host={host} user=postgres"}
    return base_backup(postgres, data_dir, signal="standby", settings=settings)


def cut_off(primary: EmbeddedPostgres, standby: EmbeddedPostgres) -> None:
    """Have a standby hear no more of its primary, once it has all that there is so far."""
    written = _ask(primary, "SELECT pg_current_wal_flush_lsn()")
    _wait_for(standby, f"SELECT pg_last_wal_replay_lsn() >= '{written}'")
    _ask(standby, "ALTER SYSTEM SET primary_conninfo = ''")
    _ask(standby, "SELECT pg_reload_conf()")
    _wait_for(standby, "SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver)")


def _ask(postgres: EmbeddedPostgres, sql: str) -> str:
    arguments = ("--no-psqlrc", "--quiet", "--tuples-only", "--no-align", f"--command={sql}")
    return postgres.run_client("psql", *arguments)


def _wait_for(postgres: EmbeddedPostgres, sql: str) -> None:
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while _ask(postgres, sql) != "t":
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {GIVE_UP_SECONDS:g} s: {sql}")
        time.sleep(0.05)


def promote(data_dir: Path) -> None:
    """Make a standby the primary; return when it takes writes. Raises PostgresFailed."""
    Cluster(data_dir / "postgres", durable=False).run("pg_ctl", "promote", "-D", ".", "-w")
