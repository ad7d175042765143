"""Secrets that protect nothing are refused before anything is served.

A secret that is short, or that stands in an example, is known to whoever guesses or reads: with
`ALGORITHM=HS256` it signs tokens, otherwise it encrypts the keys that do, and the other services'
secrets are derived from it.
"""

import base64
import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr
from pydantic_settings import BaseSettings

from sharezync_shared.start_refused import StartRefused

MIN_BYTES: Final = 32
"""As many as the HMAC-SHA256 that they are keys of (RFC 7518 §3.2)."""
MIN_DISTINCT: Final = 10
"""Different bytes; 32 random ones have fewer once in 10^21 times."""

# Words of examples, of those who mean to come back, and of commands that were to make one, written
# apart or together. Each is long enough to occur in no random secret.
_PLACEHOLDER: Final = re.compile(
    r"change(me|this|it\b)|placeholder|example|developmentonly|insecure|notforproduction"
    r"|your(own)?(secret|key|password)|secret|s3cr3t|defaultkey|donotuse|fill(me|this)?in|admin123"
    r"|replace(me|with|this)|generate(me|d?with|aone|one)|random(string|value|bytes|key)|goeshere"
    r"|atleast\d+(random)?(bits|bytes|char)|(put|paste|insert)(some|your|the)"
    r"|importsecrets|openssl|urandom|password|qwerty|0123456789|1234567890|abcdefgh"
    r"|qaz2wsx|asdfgh|zxcvbn|poiuytrewq|550e8400e29b41d4a716446655440000|14159265358|71828182845",
    re.IGNORECASE,
)
_BETWEEN_WORDS: Final = re.compile(r"[-_.\s]+")
# What a shell, a template or a person was to put a secret in place of.
_REPEATED: Final = re.compile(r"(.{6,})\1", re.DOTALL)
# Between single signs it is words: one random secret in 7,000 begins and ends with these signs.
_UNEXPANDED: Final = re.compile(
    r"\$\(.*\)|\$\{.*\}|\{\{.*\}\}|`[\w\s./|=+-]*`|<[\w\s.,:'-]*>", re.DOTALL
)
# Keys that documentation prints whole, and that therefore sign much of what was learnt from it.
_PRINTED: Final = frozenset(
    {
        # FastAPI's tutorial on OAuth2 with bearer tokens
        "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
        # Flask's page on configuration
        "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
    }
)
# What the passwords in our own examples of URLs say; whether "postgres" will do on a laptop is not
# ours to judge.
_URL_PLACEHOLDER: Final = re.compile(r"change[-_ ]?me|development[-_ ]only", re.IGNORECASE)
# Fields that hold a secret of ours; what others made (AWS_…) is theirs to judge.
_OURS: Final = ("secret_key", "service_secret", "service_secrets")
_POSTGRESQL: Final = ("PostgreSQL", "postgresql://", re.compile(r"postgres(ql)?(\+\w+)?://"))
_URLS: Final = {
    "database_url": _POSTGRESQL,
    "migrate_database_url": _POSTGRESQL,
    "amqp_url": ("RabbitMQ", "amqp:// or amqps://", re.compile(r"amqps?://[^/]")),
    "redis_url": ("Redis", "redis:// or rediss://", re.compile(r"(rediss?|unix)://.")),
}
"""Fields with the URL of a server: which, how it begins in words, and how it begins."""


def weakness_of(secret: str) -> str | None:
    """Return what is wrong with a secret, as the end of a sentence; None if it will do."""
    said = unicodedata.normalize("NFKC", secret.strip())  # blanks around it guard nothing
    if _UNEXPANDED.fullmatch(said):
        return "is a command or a variable that nothing was put in place of"
    if said.casefold() in _PRINTED | _digests_of_words():
        return "is a placeholder that anybody can read"
    decoded = _decoded(said)
    for spelled in (said, *(each.decode("latin-1") for each in decoded)):
        if _PLACEHOLDER.search(_BETWEEN_WORDS.sub("", spelled)):
            return "is a placeholder that anybody can read"
    size = len(secret.strip().encode())
    if size < MIN_BYTES:
        return f"has {size} bytes of the {MIN_BYTES} that it must have"
    # Twice at least: that the last character is the first again says nothing.
    repeats = any(said[period:] == said[:-period] for period in range(1, len(said) // 2 + 1))
    repeats = repeats or any(map(_is_sequence, (said.casefold().encode(), *decoded)))
    if repeats or _REPEATED.search(said) or len(set(said.encode())) < MIN_DISTINCT:
        return "repeats a few characters, or a step between them"
    return None


def _decoded(said: str) -> list[bytes]:
    """Return what a secret is the base64 or the hex of; nothing where it is of none.

    Decoders of base64 pass over what is none: a few bytes that are left say nothing of the rest.
    """
    found = []
    for decode in (bytes.fromhex, base64.urlsafe_b64decode, base64.b64decode):
        with suppress(ValueError):
            found.append(decode(said))
    return [each for each in found if 2 * len(each) >= len(said) - said.count(" ")]


def _is_sequence(secret: bytes) -> bool:
    """Whether two in three bytes are as far from the one before, or from that but one, as others.

    Of 31 steps between random digits as many are alike once in 10^12 times.
    """
    for apart in (1, 2):
        steps = Counter((b - a) % 256 for a, b in zip(secret, secret[apart:], strict=False))
        if steps and 3 * max(steps.values()) >= 2 * steps.total():
            return True
    return False


@cache
def _digests_of_words() -> frozenset[str]:
    """Return what it is where the digest of a common word was used."""
    words = (b"", b"admin", b"changeme", b"password", b"secret", b"sharezync", b"test")
    names = ("md5", "sha1", "sha256", "sha512")
    return frozenset(
        hashlib.new(name, word + end, usedforsecurity=False).hexdigest()
        for name in names
        for word in words
        for end in (b"", b"\n")
    )


def refuse_weak_secrets(settings: BaseSettings) -> None:
    """Stop the process, in one sentence, where the settings hold a weak secret.

    Those of ours, whichever algorithm signs, and passwords in URLs where they are placeholders.
    Raises StartRefused; no part of a secret is shown.
    """
    for field in _OURS:
        for name, secret in _secrets_of(field, getattr(settings, field, None)):
            if weakness := weakness_of(secret):
                raise StartRefused(
                    f"{name} {weakness}: set a random one, as "
                    "`python3 -c 'import secrets; print(secrets.token_urlsafe(36))'` prints"
                )
    for field in _URLS:
        password = _password_of(field, getattr(settings, field, None))
        if password and _URL_PLACEHOLDER.search(password):
            raise StartRefused(
                f"The password in {field.upper()} is a placeholder that anybody can read: "
                "set a random one, there and at the server"
            )


def _password_of(field: str, url: str | None) -> str | None:
    """Return the password in a URL. Raises StartRefused for what is none: errors would quote it."""
    server, in_words, beginning = _URLS[field]
    if url and not beginning.match(url):
        raise StartRefused(f"{field.upper()} is no URL of {server}: it begins with {in_words}")
    try:
        parts = urlsplit(url or "")
        for host in parts.netloc.rpartition("@")[2].split(","):  # PostgreSQL's may name several
            _ = urlsplit(f"//{host}").port
    except ValueError:
        raise StartRefused(
            f"{field.upper()} is no URL: characters other than letters, digits, `-`, `_`, `.` and "
            "`~` in a name or password must be percent-encoded, and a port is a number"
        ) from None
    return parts.password


def _secrets_of(field: str, value: object) -> list[tuple[str, str]]:
    name = field.upper()
    if isinstance(value, SecretStr):
        return [(name, value.get_secret_value())]
    if isinstance(value, Mapping):
        return [
            (f"The secret of {key} in {name}", each.get_secret_value())
            for key, each in value.items()
        ]
    return []
