"""Secrets that protect nothing are refused before anything is served.

A secret that is short, or that stands in an example, is known to whoever guesses or reads: with
`ALGORITHM=HS256` it signs tokens, otherwise it encrypts the keys that do, and the other services'
secrets are derived from it.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr
from pydantic_settings import BaseSettings

MIN_BYTES: Final = 32
"""As many as the HMAC-SHA256 that they are keys of (RFC 7518 §3.2)."""
MIN_DISTINCT: Final = 10
"""Different bytes; 32 random ones have fewer once in 10^21 times."""

# Words of examples, and of those who mean to come back. Each is long enough to occur in no random
# secret.
_PLACEHOLDER: Final = re.compile(
    r"change[-_ ]?(me|this|it\b)|changeme|placeholder|example|development[-_ ]only|insecure"
    r"|your[-_ ]?(own[-_ ]?)?(secret|key|password)|(super|my|the)[-_ ]?secret|secret[-_ ]?key"
    r"|not[-_ ]?for[-_ ]?production|password|qwerty|0123456789|1234567890|abcdefgh",
    re.IGNORECASE,
)
# What the passwords in our own examples of URLs say; whether "postgres" will do on a laptop is not
# ours to judge.
_URL_PLACEHOLDER: Final = re.compile(r"change[-_ ]?me|development[-_ ]only", re.IGNORECASE)
# Fields that hold a secret of ours; what others made (AWS_…) is theirs to judge.
_OURS: Final = ("secret_key", "service_secret", "service_secrets")
_URLS: Final = ("database_url", "migrate_database_url", "amqp_url", "redis_url")


def weakness_of(secret: str) -> str | None:
    """Return what is wrong with a secret, as the end of a sentence; None if it will do."""
    size = len(secret.encode())
    if _PLACEHOLDER.search(secret):
        return "is a placeholder that anybody can read"
    if size < MIN_BYTES:
        return f"has {size} bytes of the {MIN_BYTES} that it must have"
    if len(set(secret.encode())) < MIN_DISTINCT:
        return "repeats a few characters"
    return None


def refuse_weak_secrets(settings: BaseSettings) -> None:
    """Stop the process, in one sentence, where the settings hold a weak secret.

    Those of ours, whichever algorithm signs, and passwords in URLs where they are placeholders.
    Raises SystemExit; no part of a secret is told.
    """
    for field in _OURS:
        for name, secret in _secrets_of(field, getattr(settings, field, None)):
            if weakness := weakness_of(secret):
                raise SystemExit(
                    f"{name} {weakness}: set a random one, as "
                    "`python3 -c 'import secrets; print(secrets.token_urlsafe(36))'` prints"
                )
    for field in _URLS:
        url = getattr(settings, field, None)
        password = urlsplit(url).password if url else None
        if password and _URL_PLACEHOLDER.search(password):
            raise SystemExit(
                f"The password in {field.upper()} is a placeholder that anybody can read: "
                "set a random one, there and at the server"
            )


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
