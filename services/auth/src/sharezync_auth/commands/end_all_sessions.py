"""`end-all-sessions`: have everybody log in again."""

import argparse
import sys
from typing import Final

from sharezync_auth.commands import stop, work_for
from sharezync_auth.key_store import KeyStore, WrongSecretKey
from sharezync_auth.settings import AuthSettings
from sharezync_auth.states import KeyRequest, RotationPolicy
from sharezync_auth.usecases import sessions
from sharezync_shared.cli import CliCommand

_NOT_POSSIBLE: Final = 2

_DESCRIPTION = """\
End every login and replace the signing keys, so that everybody has to log in again. For after a
restore from a backup, before services start: what was logged out, revoked or replaced as
compromised after the backup is valid again in what was restored. With ALGORITHM=HS256 access tokens
stay valid until they expire. Exit status 2: SECRET_KEY is not the one that sealed the keys.
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = _DESCRIPTION


async def end_all_sessions(settings: AuthSettings) -> int:
    """End every login, replace the signing keys; return how many logins there were.

    Nobody who is connected is told. Raises WrongSecretKey: then nothing was changed.
    """
    async with work_for(settings) as work:
        if settings.algorithm != "HS256":
            store = KeyStore(work, settings.require_secret_key())
            await store.follow(KeyRequest.REPLACE_ALL, RotationPolicy.from_settings(settings))
        return await sessions.forget_all(work)


async def _run(settings: AuthSettings, _: argparse.Namespace) -> int:
    try:
        count = await end_all_sessions(settings)
    except WrongSecretKey as error:
        return stop(str(error), _NOT_POSSIBLE)
    sys.stdout.write(f"{count} logins have ended.\n")
    return 0


END_ALL_SESSIONS: Final = CliCommand(
    help="end every login: after a restore", run=_run, arguments=_arguments
)
