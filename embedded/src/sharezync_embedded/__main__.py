"""`sharezync-server`: run ShareZync on one machine, and manage its database and broker."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from sharezync_embedded.archive import BackupRefused
from sharezync_embedded.fleet import Fleet, FleetFailed
from sharezync_embedded.logs import last_lines
from sharezync_embedded.occupancy import sole_use
from sharezync_embedded.postgres import EmbeddedPostgres, PostgresFailed
from sharezync_embedded.processes import stop_with_parent
from sharezync_embedded.provision import provision
from sharezync_embedded.rabbitmq import BrokerFailed
from sharezync_embedded.server import init, up
from sharezync_shared.db.starting import database_explained
from sharezync_shared.observability import configure_logging
from sharezync_shared.settings import Settings, read_settings
from sharezync_shared.start_refused import explained


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that `arguments` (None: the process's) name; return the exit status."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)  # whatever is open is closed on the way out
    if options.stop_with_parent:
        stop_with_parent()
    given = {"port": options.port, "data_dir": options.data_dir, "host": options.host}
    given = {name: value for name, value in given.items() if value is not None}
    try:
        with explained(), database_explained():
            return _run(read_settings(lambda: Settings(**given)), options)
    except (PostgresFailed, BrokerFailed, FleetFailed) as failure:
        print(failure, file=sys.stderr)
        return 1
    except BackupRefused as refusal:
        print(refusal, file=sys.stderr)
        return 2


def _run(settings: Settings, options: argparse.Namespace) -> int:
    match options.command:
        case "up":
            return _up(settings)
        case "fleet":
            return _fleet(settings)
        case "init":
            return _init(settings)
        case "backup" | "restore":
            return _back_up_or_restore(settings, options.command, options.folder)
        case "postgres":
            return _postgres(settings, options.action)
        case _:
            return _rabbitmq(settings, options.action)


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--data-dir", type=Path, help="data folder (DATA_DIR; default: data)")
    common.add_argument("--port", type=int, help="port of the gateway (PORT; default: 8000)")
    common.add_argument("--host", help="address of the gateway (HOST; default: 127.0.0.1)")
    common.add_argument(
        "--stop-with-parent", action="store_true", help="stop when the parent process ends"
    )
    parser = argparse.ArgumentParser(prog="sharezync-server", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("up", parents=[common], help="run all services in one process")
    commands.add_parser("fleet", parents=[common], help="run a process for each service")
    commands.add_parser(
        "init", parents=[common], help="create or upgrade the databases of all services"
    )
    for command, helped_with in {
        "backup": "copy everything into a new folder, while the product runs",
        "restore": "fill an empty data folder from a backup; everybody has to log in again",
    }.items():
        helped = commands.add_parser(command, parents=[common], help=helped_with)
        helped.add_argument("folder", type=Path, help="of the backup")
    for server, actions in {
        "postgres": ("start", "stop", "url"),
        "rabbitmq": ("start", "stop", "url", "install"),
    }.items():
        helped = commands.add_parser(
            server, parents=[common], help=f"manage the {server} server of a fleet"
        )
        helped.add_argument("action", choices=actions)
    return parser


def _up(settings: Settings) -> int:
    for_people = "log_format" not in settings.model_fields_set
    configure_logging(
        settings.log_level,
        "console" if for_people else settings.log_format,
        error_hook=settings.error_hook,
    )
    up(settings, _say)
    return 0


def _init(settings: Settings) -> int:
    configure_logging("warning", "console")
    init(settings)
    where = "DATABASE_URL" if settings.database_url else str(settings.data_dir.absolute())
    _say(f"The databases of auth, chat, transfer and storage are ready: {where}")
    return 0


def _back_up_or_restore(settings: Settings, command: str, folder: Path) -> int:
    from sharezync_embedded.backup import back_up  # noqa: PLC0415 - they load all services
    from sharezync_embedded.restore import restore  # noqa: PLC0415 - as above

    configure_logging("warning", "console")
    manifest = (back_up if command == "backup" else restore)(settings, folder)
    files = f"{manifest.file_count} files of {manifest.file_bytes} bytes"
    if manifest.bucket:
        files = f"no files (they are in the bucket {manifest.bucket})"
    _say(f"{folder.absolute()}: the database of {manifest.made_at}, and {files}")
    for key in manifest.missing:
        print(f"missing or damaged before the backup: {key}", file=sys.stderr)
    return 1 if manifest.missing else 0


def _fleet(settings: Settings) -> int:
    secret = settings.secret_key
    with sole_use(settings.data_dir):
        fleet = Fleet(
            settings.data_dir,
            port=settings.port,
            database_url=settings.database_url,
            amqp_url=settings.amqp_url,
            secret_key=secret.get_secret_value() if secret else None,
            environment={"LOG_FORMAT": os.environ.get("LOG_FORMAT", "console")},
            echo=True,
        )
        with fleet:
            _say(_fleet_banner(fleet))
            while not (dead := fleet.dead()):
                time.sleep(0.2)
        for replica in dead:
            print(f"{replica.label} ended with {replica.exit_code()}:", file=sys.stderr)
            print(last_lines(replica.log_path), file=sys.stderr)
    return 1


def _fleet_banner(fleet: Fleet) -> str:
    lines = ["", "  The fleet is ready", ""]
    for name, replicas in fleet.replicas.items():
        lines += [f"    {name:<9} {replica.url}   {replica.metrics_url}" for replica in replicas]
    lines += ["", f"    API docs  {fleet.url}/docs", f"    logs      {fleet.logs_dir}"]
    return "\n".join([*lines, "", "  Ctrl-C stops it and keeps the data.", ""])


def _postgres(settings: Settings, action: str) -> int:
    postgres = EmbeddedPostgres(settings.data_dir)
    match action:
        case "start":
            _say(postgres.start(keep=True))
        case "stop":
            postgres.stop(force=True)
        case _:
            _say(postgres.url())
    return 0


def _rabbitmq(settings: Settings, action: str) -> int:
    installs = action in {"start", "install"}
    broker = provision(settings.amqp_url, settings.data_dir, install=installs)
    if broker is None:
        # Where nothing is to be had, tests leave out what needs a broker; never in CI.
        return 1 if action != "install" or os.environ.get("CI") == "true" else 0
    match action:
        case "start":
            _say(broker.start(keep=True))
        case "stop":
            broker.stop(force=True)
        case "url":
            _say(broker.url())
    return 0


def _say(text: str) -> None:
    print(text, flush=True)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    del frame
    signal.signal(number, signal.SIG_IGN)  # once is enough: we are on our way
    raise SystemExit(0)  # that is how it should end


if __name__ == "__main__":
    sys.exit(main())
