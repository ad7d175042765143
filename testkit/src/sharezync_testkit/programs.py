"""Programs of others that tests run: found on this machine, or installed from Debian's packages."""

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sharezync_embedded import debian_packages
from sharezync_embedded.provision import BROKER_PACKAGE, find_server, provision, say_on_stderr

# Servers lie where only root's PATH leads.
_MORE_PLACES = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin", "/opt/homebrew/sbin")


@dataclass(frozen=True)
class Program:
    """A program that some tests can't do without."""

    name: str
    package: str
    tests: str
    """What is left out without it."""

    def find(self) -> Path | None:
        """Where it is; None where it isn't installed."""
        found = shutil.which(self.name, path=os.pathsep.join((_path(), *_MORE_PLACES)))
        return Path(found) if found else None


REDIS: Final = Program("redis-server", "redis-server", "rate limits that replicas share")
NGINX: Final = Program("nginx", "nginx", "the gateway behind nginx")
HAPROXY: Final = Program("haproxy", "haproxy", "the gateway behind HAProxy")
# The compiler: `java File.java` needs it, and a bare runtime has none.
JDK: Final = Program("javac", "default-jdk-headless", "the JDK's own HTTP client")
PROMETHEUS: Final = Program("prometheus", "prometheus", "what dashboards ask of Prometheus")
PROMTOOL: Final = Program("promtool", "prometheus", "metrics and alerts by Prometheus' own rules")
TEST_PROGRAMS: Final = (REDIS, NGINX, HAPROXY, JDK, PROMETHEUS, PROMTOOL)


def provision_programs(
    programs: Sequence[Program] = TEST_PROGRAMS,
    *,
    and_packages: Sequence[str] = (),
    say: Callable[[str], None] = say_on_stderr,
) -> list[Program]:
    """See to it that the programs are installed; return those that are not, having said so loudly.

    `and_packages` are installed in the same go, and nobody looks after them here.
    """
    missing = [program for program in programs if program.find() is None]
    packages = [*and_packages, *dict.fromkeys(program.package for program in missing)]
    if packages and debian_packages.can_install():
        debian_packages.install(packages, say)
    left = [program for program in missing if program.find() is None]
    for program in left:
        say(f"There is NO {program.name} to be had: tests of {program.tests} are LEFT OUT.")
    return left


def main() -> int:
    """Install what tests need of others' programs, a broker among them; return the exit status."""
    amqp_url = os.environ.get("AMQP_URL")
    broker = [] if amqp_url or find_server() else [BROKER_PACKAGE]
    missing = provision_programs(and_packages=broker)
    broker_found = provision(amqp_url, Path(), install=False)  # nothing is started
    # Where one is not to be had, tests leave out what needs it; never in CI.
    return 1 if (missing or broker_found is None) and os.environ.get("CI") == "true" else 0


def _path() -> str:
    return os.environ.get("PATH", os.defpath)


if __name__ == "__main__":
    sys.exit(main())
