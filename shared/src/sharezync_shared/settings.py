"""Settings that every service reads, from the environment and from `.env`.

A service subclasses `Settings` with its own fields, builds one instance in its `__main__` by
`read_settings` and passes it on. Nothing reads the environment anywhere else.
"""

import re
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from sharezync_shared.secret_strength import refuse_weak_secrets
from sharezync_shared.start_refused import StartRefused

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#\s]+", re.IGNORECASE)

SERVICES = ("auth", "chat", "transfer", "storage", "gateway")
"""All services, in the order in which a fleet stops last; each but gateway has a field `…_url`."""


class Settings(BaseSettings):
    """What each of the five services needs to know. Field names in upper case are the variables."""

    # Input is hidden from errors: what a variable holds may be a secret, though it isn't valid.
    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    # --- where to listen -------------------------------------------------------------------
    host: str = "127.0.0.1"  # loopback unless a container says otherwise
    port: int = Field(8000, ge=0, le=65535)  # 0: any that is free
    metrics_port: int | None = Field(None, ge=0, le=65535)  # absent: no metrics server
    # Apart from `host`: what faces clients is open to them, metrics are for who scrapes them.
    metrics_host: str = "127.0.0.1"
    drain_seconds: float = Field(20, ge=0)  # how long a stopping process may take to say goodbye
    # WebSockets included; idle ones cost 10 to 30 KiB each. Never more than three quarters of the
    # files that the process may have open.
    max_connections: int = Field(20_000, ge=1)

    # --- what a service stands on ----------------------------------------------------------
    # postgresql://user:password@host/database; absent: the embedded one
    database_url: str | None = None
    # The login that owns the tables, for `migrate` alone: what serves strangers defines nothing.
    # Absent where DATABASE_ROLE is set (`migrate` makes an owner beside it), or both are one.
    migrate_database_url: str | None = None
    # A role to take after logging in, for a login that several services share. Absent where each
    # service logs in as its own role.
    database_role: str | None = Field(None, pattern=r"^[a-z_][a-z0-9_]*$")
    database_pool_size: int = Field(10, ge=1)  # connections of one process, searches apart
    # Searches and other reads that may take long, and the connections that they have to themselves.
    # Each may keep a core of the database busy; nobody has two. Who asks again meanwhile waits.
    searches_at_once: int = Field(4, ge=1)
    searches_at_once_per_user: int = Field(1, ge=1)  # more of one user get 429
    # After that nobody waits any more, and the core is needed for others.
    search_timeout_seconds: float = Field(5, gt=0)
    amqp_url: str | None = None  # absent: the bus in process
    redis_url: str | None = None  # absent: rate limits are counted in memory
    data_dir: Path = Path("data")  # files, and the embedded servers

    # --- tokens ----------------------------------------------------------------------------
    # at least 32 random bytes; required in a fleet, made for one process
    secret_key: SecretStr | None = None
    # of access tokens: keys that rotate, or one shared secret
    algorithm: Literal["ES256", "HS256"] = "ES256"
    access_token_expire_minutes: int = Field(10, ge=1, le=24 * 60)  # short: revocation is cheap
    # How long a service keeps auth's public keys before it looks again. The same in every process:
    # auth publishes a key for longer than this before it signs with it.
    jwks_lifespan_seconds: float = Field(300, ge=1)
    jwt_issuer: str = "sharezync"  # `iss` of tokens
    jwt_audience: str = "sharezync"  # `aud` of tokens
    service_secret: SecretStr | None = None  # absent: derived from SECRET_KEY

    # --- the others ------------------------------------------------------------------------
    auth_url: str = "http://127.0.0.1:8001"  # where auth is
    chat_url: str = "http://127.0.0.1:8002"  # where chat is
    transfer_url: str = "http://127.0.0.1:8003"  # where transfer is
    storage_url: str = "http://127.0.0.1:8004"  # where storage is

    # --- browsers --------------------------------------------------------------------------
    frontend_origin: Annotated[tuple[str, ...], NoDecode] = ()  # comma-separated; none: no CORS

    # --- logs ------------------------------------------------------------------------------
    # debug, info, warning or error
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["console", "json"] = "json"  # json for machines, console for people
    # `package.module:function`, called with each unhandled exception and its line of the log.
    error_hook: str | None = Field(None, pattern=r"^[\w.]+:\w+$")

    # --- traces ----------------------------------------------------------------------------
    # Base URL of an OpenTelemetry collector (OTLP over HTTP). Absent: nothing is recorded.
    otel_exporter_otlp_endpoint: str | None = None
    # What it wants to see, such as a token: `name=value`, separated by commas.
    otel_exporter_otlp_headers: SecretStr | None = None
    # The share of requests and commands that is recorded; each makes some ten spans.
    traces_ratio: float = Field(0.01, ge=0, le=1)
    # How many more each gateway records as clients ask for it by the flag `sampled`: anybody can.
    traces_asked_per_second: float = Field(1, ge=0)

    @field_validator("frontend_origin", mode="before")
    @classmethod
    def _split_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip().rstrip("/") for part in value.split(",") if part.strip())
        return value

    @field_validator("frontend_origin")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError("An origin is a scheme and a host, as in https://app.example.com")
        return value

    @field_validator("auth_url", "chat_url", "transfer_url", "storage_url")
    @classmethod
    def _is_of_http(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("It begins with http:// or https://")
        return value

    @field_validator("log_level", "log_format", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @cached_property
    def service_urls(self) -> dict[str, str]:
        """Base URL of each service that has HTTP routes behind the gateway, by name."""
        return {
            name: getattr(self, f"{name}_url").rstrip("/") for name in SERVICES if name != "gateway"
        }

    def require_database_url(self) -> str:
        """Return the database URL, or stop with a sentence that says what to set."""
        if not self.database_url:
            message = "DATABASE_URL is not set, e.g. postgresql://user:password@host/sharezync"
            raise StartRefused(message)
        return self.database_url

    def require_secret_key(self) -> str:
        """Return SECRET_KEY, or stop with a sentence that says what to set."""
        if self.secret_key is None:
            raise StartRefused("SECRET_KEY is not set: use at least 32 random bytes, e.g. base64")
        return self.secret_key.get_secret_value()


OwnSettings = TypeVar("OwnSettings", bound=Settings)


def read_settings(settings: Callable[[], OwnSettings]) -> OwnSettings:
    """Return the settings that a process starts with, or stop with a sentence that says why not.

    Raises StartRefused for what isn't valid, and for secrets that protect nothing
    (`secret_strength`). Values are never shown.
    """
    try:
        read = settings()
    except ValidationError as error:
        wrong = (
            f"{'.'.join(map(str, e['loc'])).upper()}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        )
        raise StartRefused("; ".join(wrong)) from None
    refuse_weak_secrets(read)
    return read
