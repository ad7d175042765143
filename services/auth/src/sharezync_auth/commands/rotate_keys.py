"""`rotate-keys`: have another key sign from now on."""

import argparse
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sharezync_auth.commands import print_rows, stop, work_for
from sharezync_auth.key_store import KeyStore, PrivateKey, WrongSecretKey
from sharezync_auth.settings import AuthSettings
from sharezync_auth.states import MAX_KEYS, KeyRequest, RotationPolicy, TooMany, TooYoung
from sharezync_shared.cli import CliCommand

_REFUSED: Final = 1
_NOT_POSSIBLE: Final = 2

_DESCRIPTION = """\
Have the next key sign from now on. The one before stays published until its last token has run
out, so nobody notices. Auth processes that run sign with the new key within 30 seconds. The
keys are printed afterwards. Exit status 1: not yet, nothing was changed; 2: there are no keys to
rotate, or SECRET_KEY is not theirs.
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = _DESCRIPTION
    parser.add_argument(
        "--now",
        action="store_true",
        help="rotate even if verifiers may not know the next key yet. They fetch unknown keys, so "
        "that usually no token is refused; at worst new tokens are refused for "
        "JWKS_LIFESPAN_SECONDS by verifiers that have just fetched the keys",
    )
    parser.add_argument(
        "--compromised",
        action="store_true",
        help="the keys are compromised: replace all of them at once. Tokens of the old keys are "
        "refused as soon as verifiers fetch the keys again (at the first new token; a minute later "
        "for tokens they have just verified; at most JWKS_LIFESPAN_SECONDS and a minute), and "
        "clients refresh. New tokens may be refused as with --now",
    )
    parser.add_argument(
        "--new-secret-key",
        action="store_true",
        help="with --compromised: SECRET_KEY was changed intentionally. Restart every service "
        "with it afterwards",
    )
    parser.add_argument("--json", action="store_true", help="print the keys as JSON")


async def _run(settings: AuthSettings, arguments: argparse.Namespace) -> int:
    if settings.algorithm == "HS256":
        reason = "With ALGORITHM=HS256 SECRET_KEY signs: there is nothing to rotate."
        return stop(reason, _NOT_POSSIBLE)
    if arguments.new_secret_key and not arguments.compromised:
        return stop("--new-secret-key goes with --compromised only.", _NOT_POSSIBLE)
    async with work_for(settings) as work:
        store = KeyStore(work, settings.require_secret_key())
        try:
            private_keys = await store.follow(
                _order(arguments),
                RotationPolicy.from_settings(settings),
                whatever_sealed_them=arguments.new_secret_key,
            )
        except (TooYoung, TooMany) as refusal:
            print_rows(_table(await store.read()), as_json=arguments.json)
            return stop(_reason(refusal), _REFUSED)
        except WrongSecretKey as error:
            return stop(str(error), _NOT_POSSIBLE)
    print_rows(_table(private_keys), as_json=arguments.json)
    return 0


def _order(arguments: argparse.Namespace) -> KeyRequest:
    if arguments.compromised:
        return KeyRequest.REPLACE_ALL
    return KeyRequest.ROTATE_NOW if arguments.now else KeyRequest.ROTATE


def _reason(refusal: TooYoung | TooMany) -> str:
    if isinstance(refusal, TooMany):
        return f"Not yet: there are {MAX_KEYS} keys. Wait until some have gone."
    if refusal.since is None or refusal.signs_from is None:
        return "Not yet: there is no next key. A running auth makes one; so does --now."
    return (
        f"Not yet: the next key is published since {_moment(refusal.since)}, and every verifier "
        f"knows it from {_moment(refusal.signs_from)} on. --now rotates all the same: at worst "
        "new tokens are refused until verifiers look again."
    )


def _table(private_keys: Sequence[PrivateKey]) -> list[dict[str, str]]:
    keys = sorted(
        (each.key for each in private_keys), key=lambda key: (key.since, key.kid), reverse=True
    )
    return [{"kid": key.kid, "state": key.state, "since": _moment(key.since)} for key in keys]


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


ROTATE_KEYS: Final = CliCommand(help="rotate the signing key", run=_run, arguments=_arguments)
