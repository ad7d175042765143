"""`make secrets`: random values in `.env` for every secret that docker-compose.yml asks for.

What stands there already stays as it is, so that it may be run again after an upgrade that asks for
more; a name without a value is given one. The values are letters, digits, `-` and `_`: they fit
into URLs, JSON and shells as they are.
"""

import os
import re
import secrets
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
_ASKED_FOR: Final = re.compile(r"\$\{(\w+):\?")
# As compose reads it: with blanks before the name, with `:` for `=`. The last of several holds.
_SET: Final = re.compile(
    r"^[^\S\n]*(?:export[^\S\n]+)?(\w+)[^\S\n]*[=:][^\S\n]*(.*)$", re.MULTILINE
)
_NOTHING: Final = re.compile(r"(\"\"|'')?\s*(#.*)?")
_RANDOM_BYTES: Final = 36


def asked_for(compose: str) -> list[str]:
    """Return the variables without which a compose file starts nothing, in their order."""
    return list(dict.fromkeys(_ASKED_FOR.findall(compose)))


def add_missing(env: Path, names: list[str]) -> list[str]:
    """Append a random value for each name that `env` doesn't set; return those names.

    The file is for its owner alone from its first byte on.
    """
    descriptor = os.open(env, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    # Bytes that aren't UTF-8 are somebody's comment; a byte order mark is none of the first name.
    with os.fdopen(descriptor, "r+", encoding="utf-8", errors="surrogateescape") as file:
        os.fchmod(file.fileno(), 0o600)
        text = file.read().removeprefix("\ufeff")
        values = dict(_SET.findall(text))
        known = {name for name, value in values.items() if not _NOTHING.fullmatch(value)}
        missing = [name for name in names if name not in known]
        if missing and text and not text.endswith("\n"):
            file.write("\n")
        for name in missing:
            file.write(f"{name}={secrets.token_urlsafe(_RANDOM_BYTES)}\n")
    return missing


def main() -> None:
    """Write to the `.env` beside the compose file."""
    env = ROOT / ".env"
    made = add_missing(env, asked_for((ROOT / "docker-compose.yml").read_text()))
    if made:
        print(f"{len(made)} secrets were made in {env}, which only you can read.")
        print("Keep that file as long as the volumes.")
    else:
        print(f"{env} has every secret already; nothing was changed.")


if __name__ == "__main__":
    main()
