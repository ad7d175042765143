"""`create-user`: an account without the registration page."""

import argparse
import getpass
import secrets
import sys
from typing import Final

from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from sharezync_auth.api.users import Registration
from sharezync_auth.commands import stop, work_for
from sharezync_auth.errors import EmailTaken, NameTaken
from sharezync_auth.metrics import AuthMetrics
from sharezync_auth.passwords import Passwords
from sharezync_auth.settings import AuthSettings
from sharezync_auth.usecases import users
from sharezync_shared.cli import CliCommand
from sharezync_shared.problems import field_errors

_TAKEN: Final = 1
_NOT_VALID: Final = 2

_GENERATED_BYTES: Final = 18

_DESCRIPTION = """\
Create an account, as registration does. The password is prompted for twice, unless an option
provides it; it is never an argument, since other users of the machine could see that. Exit status
1: the name or the address is taken; 2: the input is invalid. In both cases nothing is created.
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = _DESCRIPTION
    parser.add_argument("username", metavar="USERNAME")
    parser.add_argument("email", metavar="EMAIL")
    parser.add_argument("--display-name", metavar="NAME", help="name to show; default: USERNAME")
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--password-stdin", action="store_true", help="read the password from a line of stdin"
    )
    source.add_argument(
        "--generate", action="store_true", help="generate a password and print it on stdout"
    )


async def _run(settings: AuthSettings, arguments: argparse.Namespace) -> int:
    try:
        body = Registration(
            username=arguments.username,
            email=arguments.email,
            password=_password(arguments),
            display_name=arguments.display_name,
        )
    except ValidationError as error:
        # Not the input of each: one of them is the password.
        lines = [f"{e['field']}: {e['message']}" for e in field_errors(error.errors())]
        return stop("\n".join(lines), _NOT_VALID)
    except ValueError as error:  # there is no password to go on with
        return stop(str(error), _NOT_VALID)
    passwords = Passwords(threads=1, queue=1, metrics=AuthMetrics(CollectorRegistry()))
    try:
        async with work_for(settings) as work:
            user = await users.register(work, passwords, **body.model_dump(), address="")
    except (NameTaken, EmailTaken) as refusal:
        return stop(f"{refusal.title}.", _TAKEN)
    finally:
        passwords.close()
    sys.stderr.write(f"{user.username} is {user.id}.\n")
    if arguments.generate:
        # Alone on stdout, so that it can be piped to where it is kept.
        sys.stdout.write(body.password + "\n")
    return 0


def _password(arguments: argparse.Namespace) -> str:
    if arguments.generate:
        return secrets.token_urlsafe(_GENERATED_BYTES)
    if arguments.password_stdin:
        return sys.stdin.readline().removesuffix("\n").removesuffix("\r")
    if not sys.stdin.isatty():
        raise ValueError(
            "No terminal to read the password from: use --password-stdin or --generate."
        )
    password = getpass.getpass("Password: ")
    if password != getpass.getpass("Once more: "):
        raise ValueError("The passwords differ.")
    return password


CREATE_USER: Final = CliCommand(help="create an account", run=_run, arguments=_arguments)
