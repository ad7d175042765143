"""The system account that PostgreSQL runs as.

PostgreSQL refuses to run as root. Where we are root (containers, mostly) it runs as an account of
its own, which then has to be able to reach its programs and its files.
"""

import os
import pwd
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

ACCOUNT_NAME = "pgserver"  # the name that the PostgreSQL wheel itself would choose


@dataclass(frozen=True)
class Account:
    """Who runs a program: `uid` is None where that is simply who we are."""

    uid: int | None = None
    gid: int | None = None

    def popen_arguments(self) -> dict[str, object]:
        """What to give `subprocess.run` to run a program as this account."""
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def give(self, path: Path) -> None:
        """Make this account the owner of `path` (not of what is in it)."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def let_reach(self, path: Path) -> None:
        """Let this account pass through every folder above `path`.

        Where one is closed to it, others may search that folder from now on (`o+x`): its files
        can be opened by those who know their names and may read them, its listing stays closed.
        """
        if self.uid is None:
            return
        for folder in path.resolve().parents:
            found = folder.stat()
            needed = stat.S_IXOTH
            if found.st_uid == self.uid:
                needed = stat.S_IXUSR
            elif found.st_gid == self.gid:
                needed = stat.S_IXGRP
            if not found.st_mode & needed:
                folder.chmod(stat.S_IMODE(found.st_mode) | needed)

    def let_run(self, programs: Path) -> None:
        """Let this account run the programs in the folder `programs`, installed beside `lib`."""
        if self.uid is None:
            return
        self.let_reach(programs / "any")
        read_and_search = stat.S_IROTH | stat.S_IXOTH
        if programs.joinpath("postgres").stat().st_mode & read_and_search == read_and_search:
            return
        # Installed under a strict umask: open the whole installation for reading, as pip would.
        for path in (programs.parent, *programs.parent.rglob("*")):
            if not path.is_symlink():
                mode = stat.S_IMODE(path.stat().st_mode)
                runs = path.is_dir() or mode & stat.S_IXUSR
                path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if runs else 0))


def account_for(cluster: Path) -> Account:
    """Who shall run the PostgreSQL whose files are in `cluster` (which may not exist yet).

    Ourselves, unless we are root: then the owner of the files, or else the account `pgserver`,
    which is made where it is absent.
    """
    if os.geteuid() != 0:
        return Account()
    if cluster.exists() and (owner := cluster.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    try:
        entry = pwd.getpwnam(ACCOUNT_NAME)
    except KeyError:
        entry = _make_account()
    return Account(entry.pw_uid, entry.pw_gid)


def _make_account() -> pwd.struct_passwd:
    made = subprocess.run(
        ["useradd", "--system", "--user-group", "--shell", "/usr/sbin/nologin", ACCOUNT_NAME],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        return pwd.getpwnam(ACCOUNT_NAME)  # also where another process made it just now
    except KeyError:
        raise RuntimeError(
            f"PostgreSQL can't run as root, and no account {ACCOUNT_NAME!r} could be made for it: "
            f"{made.stderr.strip()}"
        ) from None
