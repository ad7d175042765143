"""Debian's packages, installed for development and tests without a service starting by itself."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_APT_TIMEOUT_SECONDS = 900

# Asked by package scripts: may this service start?
_SERVICE_POLICY = Path("/usr/sbin/policy-rc.d")


def can_install() -> bool:
    """Whether packages can be installed here: that takes root and apt-get."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(packages: Sequence[str], say: Callable[[str], None]) -> None:
    """Install packages in one go; one by one where that fails, so that one takes no other along.

    Takes minutes at worst; `say` is called with what is done and what failed. Nothing is raised:
    look for the program afterwards.
    """
    say(f"Installing Debian's packages {', '.join(packages)} (a few minutes at most) …")
    with _nothing_starts():
        _apt_get(say, "update", "--quiet")
        together = _install(packages, say)
        if not together and len(packages) > 1:
            for package in packages:
                _install([package], say)
    if shutil.which("systemctl"):  # nor at the next boot: they are there for development
        for package in packages:
            subprocess.run(["systemctl", "disable", package], capture_output=True, check=False)


def _install(packages: Sequence[str], say: Callable[[str], None]) -> bool:
    return _apt_get(say, "install", "--quiet", "--yes", "--no-install-recommends", *packages)


@contextmanager
def _nothing_starts() -> Iterator[None]:
    ours = not _SERVICE_POLICY.exists()
    if ours:
        _SERVICE_POLICY.write_text("#!/bin/sh\nexit 101\n")
        _SERVICE_POLICY.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            _SERVICE_POLICY.unlink(missing_ok=True)


def _apt_get(say: Callable[[str], None], *arguments: str) -> bool:
    try:
        done = subprocess.run(
            ["apt-get", "-o", "DPkg::Lock::Timeout=300", *arguments],
            env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_APT_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        say(f"apt-get took longer than {_APT_TIMEOUT_SECONDS} s and was given up")
        return False
    if done.returncode != 0:
        # A stale or partly unreachable package list may still do: the install decides.
        say(f"apt-get {arguments[0]} failed ({done.returncode}): {done.stderr[-2000:]}")
    return done.returncode == 0
