"""Settings of auth, read from the environment."""

from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from sharezync_shared.settings import SERVICES, Settings
from sharezync_shared.tokens.credentials import derive_service_secret


class AuthSettings(Settings):
    """Settings of the auth service; field names in upper case are the variables."""

    port: int = Field(8001, ge=0, le=65535)  # 0: any that is free
    # Threads that hash passwords. Each takes 19 MiB and a core for some 40 ms; more threads than
    # cores only make every login slower.
    password_threads: int = Field(2, ge=1, le=64)
    # Hashes that may wait for a thread; beyond that logins are refused with a time to come back.
    password_queue: int = Field(100, ge=1)
    # How long a login lasts that is never used, and how long one lasts at all.
    session_idle_days: int = Field(30, ge=1)
    session_max_days: int = Field(365, ge=1)
    # How long a login that is over is kept: who asks support why they were logged out asks within a
    # month. Longer than a token of it may hold, or its revocation is forgotten before.
    ended_session_retention_days: float = Field(30, ge=8)
    # Living logins of one user; with one more the least recently used ends. Nobody has as many
    # devices: it is a script that never logs out.
    sessions_per_user: int = Field(500, ge=1)
    # A first connection registers a device, so a stranger to us could loop.
    devices_per_user: int = Field(100, ge=1, le=1000)
    # How long a device counts as online after the last update of its gateway. Gateways send one
    # four times in that time; a crashed one's devices go offline by themselves.
    device_lease_seconds: float = Field(45, ge=1)
    # After how many days another key signs tokens. Keys that are known to few for a short time
    # leak less; nobody notices a rotation.
    key_rotation_days: float = Field(30, gt=0)
    # Wrong passwords in an hour before the next try on an account, or from an address, has to
    # wait; and how long the longest wait is. An address may be an office, an account is a person.
    login_free_failures: int = Field(10, ge=1)
    login_free_failures_per_address: int = Field(100, ge=1)
    login_max_wait_seconds: float = Field(300, ge=1)
    # How long after logging in an account may be deleted, or get another e-mail address, without
    # the password. Absent: 300 with COMPAT_ZYNC, whose clients can't send it then, and 0 without.
    recent_login_seconds: float | None = Field(None, ge=0, le=3600)
    compat_zync: bool = False  # as at the gateway: docs/zync.md
    # Whom one account may have blocked: more than anybody can name, and a list that other services
    # still read in one go.
    max_blocks: int = Field(1000, ge=1, le=5000)
    # `chat=…,storage=…`; a service that is not named here has the secret derived from SECRET_KEY.
    service_secrets: Annotated[dict[str, SecretStr], NoDecode] = Field(default_factory=dict)
    # Whether the secrets derived from SECRET_KEY hold. Off: only those of `service-client` and
    # SERVICE_SECRETS do, and who learns SECRET_KEY can't pass as a service.
    service_secrets_derived: bool = True

    @field_validator("service_secrets", mode="before")
    @classmethod
    def _split_pairs(cls, value: object) -> object:
        if isinstance(value, str):
            pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
            if any(name.strip() not in SERVICES or not equals for name, equals, _ in pairs):
                # Not said which: what stands in a name's place may be a secret.
                raise ValueError(f"Write chat=…,storage=…; there are {', '.join(SERVICES)}")
            return {name.strip(): secret.strip() for name, _, secret in pairs}
        return value

    @property
    def trusted_login_seconds(self) -> float:
        """`recent_login_seconds`, or its default."""
        if self.recent_login_seconds is not None:
            return self.recent_login_seconds
        return 300 if self.compat_zync else 0

    def secret_of_service(self, name: str) -> str | None:
        """Return the secret with which the service `name` logs in; None if there is no such one."""
        if name in self.service_secrets:
            return self.service_secrets[name].get_secret_value()
        if name in SERVICES and self.service_secrets_derived:
            return derive_service_secret(self.require_secret_key(), name)
        return None
