"""`service-client`: secrets with which services ask for tokens."""

import argparse
import sys
from typing import Final
from uuid import UUID

from sharezync_auth.commands import print_rows, stop, work_for
from sharezync_auth.settings import AuthSettings
from sharezync_auth.usecases import clients
from sharezync_shared.cli import CliCommand
from sharezync_shared.tokens.claims import service_name

_NOT_FOUND: Final = 1

_DESCRIPTION = """\
Secrets with which services ask for tokens (client_credentials), beside those of SERVICE_SECRETS
and the ones derived from SECRET_KEY. To exchange one: add, give it to the service as
SERVICE_SECRET, restart that, remove the old one.
"""


def _name(text: str) -> str:
    try:
        return service_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = _DESCRIPTION
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    add = acts.add_parser("add", help="create a secret and print it once")
    add.add_argument("name", type=_name, metavar="NAME", help="name of the service, such as chat")
    show = acts.add_parser("list", help="list the secrets without their values")
    show.add_argument("--json", action="store_true", help="print JSON")
    remove = acts.add_parser("remove", help="revoke a secret")
    remove.add_argument("id", type=UUID, metavar="ID", help="id from `list`")


async def _run(settings: AuthSettings, arguments: argparse.Namespace) -> int:
    async with work_for(settings) as work:
        match arguments.act:
            case "add":
                client, secret = await clients.add(work, name=arguments.name)
                # The secret alone goes to stdout, so that it can be piped to where it is kept.
                sys.stderr.write(f"{client.id}: new secret of {client.name}, shown only once:\n")
                sys.stdout.write(secret + "\n")
            case "list":
                rows = [
                    {
                        "id": str(client.id),
                        "name": client.name,
                        "created_at": client.created_at.isoformat(timespec="seconds"),
                    }
                    for client in await clients.all_clients(work)
                ]
                print_rows(rows, as_json=arguments.json)
            case "remove":
                if not await clients.remove(work, client_id=arguments.id):
                    return stop(f"The secret {arguments.id} doesn't exist.", _NOT_FOUND)
                sys.stderr.write(
                    "Revoked. Tokens created with it are valid for at most 5 more minutes.\n"
                )
    return 0


SERVICE_CLIENT: Final = CliCommand(
    help="manage the secrets of services", run=_run, arguments=_arguments
)
