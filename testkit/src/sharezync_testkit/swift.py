"""How the strict S3 server of the tests is set up: Swift's configuration and its rings.

A ring says which server keeps what; here each has one device on one server, and one copy. See
Swift's own "Deployment Guide" for what each setting is; those that are here differ from the
defaults, for the reason beside them.
"""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

BACKENDS: Final = ("account", "container", "object")
SERVERS: Final = (*BACKENDS, "proxy")

# What Swift's own programs do, but that nothing waits for a disk: all of it is forgotten after the
# tests, as with the tests' PostgreSQL.
_SERVE: Final = """
import os, sys
os.fsync = os.fdatasync = lambda _: None
from swift.{package}.server import main
sys.exit(main())
"""

_MAKE_RINGS: Final = """
import sys
from swift.common.ring import RingBuilder
folder, *servers = sys.argv[1:]
for server in servers:
    name, port = server.split(":")
    ring = RingBuilder(0, 1, 0)  # one partition, one copy, which may be moved at once
    ring.add_dev(dict(
        region=1, zone=1, ip="127.0.0.1", port=int(port), device="device", weight=1, meta="",
        replication_ip="127.0.0.1", replication_port=int(port),
    ))
    ring.rebalance()
    ring.get_ring().save(f"{folder}/{name}.ring.gz")
"""

_CLUSTER: Final = """
[swift-hash]
swift_hash_path_prefix = tests
swift_hash_path_suffix = tests

[storage-policy:0]
name = only
default = yes
"""

# No forks, so that each server is one process with one id, and of our own account. A port that is
# taken is told at once (30 s otherwise). /dev/log is not for the errors that tests provoke. On a
# machine that is busy with other tests a server may take its time to answer another one.
_EVERY: Final = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
bind_timeout = 1
workers = 0
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
log_level = WARNING
log_address = {folder}/no-syslog
conn_timeout = 30
node_timeout = 60
"""

# Nobody runs who would bring a listing up to date later, so a write waits until it is (1 s
# otherwise).
_BACKEND: Final = """
[pipeline:main]
pipeline = healthcheck {server}-server

[filter:healthcheck]
use = egg:swift#healthcheck

[app:{server}-server]
use = egg:swift#{server}
container_update_timeout = 60
"""

# There is no other server to turn to, so one that had errors is never avoided. Parts are as many
# and as small as S3 has them.
_PROXY: Final = """
[pipeline:main]
pipeline =
    catch_errors gatekeeper healthcheck listing_formats s3api tempauth
    copy slo dlo versioned_writes symlink proxy-server

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
error_suppression_limit = 1000000000

[filter:s3api]
use = egg:swift#s3api
location = us-east-1
min_segment_size = 5242880
max_upload_part_num = 10000

[filter:slo]
use = egg:swift#slo
max_manifest_segments = 10000

[filter:tempauth]
use = egg:swift#tempauth
user_{user} = {key} .admin .reseller_admin

[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_object_versioning = true
"""

_PLAIN_FILTERS: Final = (
    "catch_errors",
    "gatekeeper",
    "healthcheck",
    "listing_formats",
    "copy",
    "dlo",
    "symlink",
)


def command_of(server: str, folder: Path) -> tuple[str | Path, ...]:
    """Return the command of one of `SERVERS`, as `configure` has set it up in `folder`."""
    package = "obj" if server == "object" else server
    return sys.executable, "-c", _SERVE.format(package=package), folder / f"{server}.conf", "-v"


def configure(folder: Path, ports: Mapping[str, int], *, user_key: tuple[str, str]) -> None:
    """Write into `folder` what Swift needs to know, for all of `SERVERS`.

    `user_key` is the one user's `account:name` and the key. Raises CalledProcessError.
    """
    (folder / "devices" / "device").mkdir(parents=True, exist_ok=True)
    (folder / "swift.conf").write_text(_CLUSTER)
    user, key = user_key
    filters = "".join(f"[filter:{name}]\nuse = egg:swift#{name}\n\n" for name in _PLAIN_FILTERS)
    for server, port in ports.items():
        own = (
            _PROXY.format(user=user.replace(":", "_"), key=key) + "\n" + filters
            if server == "proxy"
            else _BACKEND.format(server=server)
        )
        every = _EVERY.format(port=port, folder=folder)
        (folder / f"{server}.conf").write_text(every + own)
    rings = [f"{server}:{ports[server]}" for server in BACKENDS]
    subprocess.run(
        [sys.executable, "-c", _MAKE_RINGS, folder, *rings],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
