"""Settings of the gateway: what every service reads, and what only the door needs."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from limits import parse
from pydantic import AfterValidator, Field, field_validator
from pydantic_settings import NoDecode

from sharezync_shared.settings import Settings
from sharezync_shared.sizes import MAX_REQUEST_BYTES

Network = IPv4Network | IPv6Network


def _readable(rate: str) -> str:
    if rate:
        parse(rate)  # raises ValueError with the text that it couldn't read
    return rate


Rate = Annotated[str, AfterValidator(_readable)]
"""As in "300/minute"; empty is no limit."""


class GatewaySettings(Settings):
    """Field names in upper case are the variables."""

    # --- who stands before us ---------------------------------------------------------------
    # Comma-separated networks whose X-Forwarded-* we believe. None: the peer is the client, and
    # what it says of itself is dropped.
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = ()

    # Where clients reach us, as in https://chat.example.com. Then every Location is absolute: some
    # clients of tus follow no other. Absent: relative.
    public_url: str | None = Field(None, pattern=r"^https?://[^/?#\s]+(/[^?#\s]*[^/?#\s])?/?$")

    # --- how often (rates as in "300/minute"; empty: no limit) ------------------------------
    rate_limit_standard: Rate = "3000/minute"  # a user's ordinary calls: 50 a second
    rate_limit_costly: Rate = "300/minute"  # a user's searches: each one may read much
    rate_limit_bytes: Rate = "60000/minute"  # a user's chunks: at 1 MiB each, 1 GiB a second
    rate_limit_public: Rate = "3000/minute"  # an address without a proven token: an office's worth
    rate_limit_sign_in: Rate = "600/minute"  # an address; auth throttles each account by itself
    rate_limit_sockets: Rate = "6000/minute"  # an address; all of an office reconnects at once

    # --- how many at a time -----------------------------------------------------------------
    # Of one address (IPv6: its /64) to this process. An office of five hundred behind one address,
    # each with a socket and a request on its way; who has more raises it. Absent: no limit.
    max_connections_per_address: int | None = Field(1000, ge=1)

    # --- how much ---------------------------------------------------------------------------
    max_json_body_bytes: int = Field(MAX_REQUEST_BYTES, ge=1)  # coarse; services have finer ones
    max_file_body_bytes: int | None = Field(None, ge=1)  # absent: storage's quotas decide

    # --- how long ---------------------------------------------------------------------------
    upstream_connect_timeout_seconds: float = Field(1, gt=0)  # inside a cluster: at once or never
    upstream_timeout_seconds: float = Field(30, gt=0)  # a service says nothing for so long
    upstream_bytes_timeout_seconds: float = Field(120, gt=0)  # the same, where files are moved
    upstream_follow_timeout_seconds: float = Field(3600, gt=0)  # a file that is still arriving
    # To each service; bounds what one slow one holds. Half is for requests that are over soon, half
    # for those that move bytes.
    upstream_connections: int = Field(512, ge=2)
    # Of each half, to each service: a quarter, so that nobody can take what all need.
    upstream_requests_per_caller: int = Field(64, ge=1)
    upstream_queue_seconds: float = Field(2, gt=0)  # for a place among them; then 503
    # A new replica of a service has its share of requests after this time, give or take 40 %.
    upstream_connection_max_age_seconds: float = Field(10, gt=0)
    client_idle_seconds: float = Field(30, gt=0)  # a body or a reader that makes no progress
    client_body_seconds: float = Field(30, gt=0)  # a JSON body from its first byte to its last

    # --- sockets ----------------------------------------------------------------------------
    ws_allow_query_token: bool = False  # query strings end up in logs and Referer headers
    # Of this process: 28 KiB each when idle, and a file descriptor. A tenth may be without a token.
    ws_max_connections: int = Field(10_000, ge=1)
    ws_max_connections_per_user: int = Field(20, ge=1)  # on one node: tabs, phones, one in a loop
    ws_max_commands_per_second: float = Field(100, gt=0)  # of a socket; twice as many at once
    presence: bool = True  # clients may ask who of their acquaintances is online
    typing: bool = True  # and who is typing; each costs a small signal to every replica

    # --- clients of Zync --------------------------------------------------------------------
    # Whether their routes are answered too, at the root: docs/zync.md. Their sockets bring the
    # token in the URL, which ends up in logs of proxies.
    compat_zync: bool = False

    # --- pages ------------------------------------------------------------------------------
    openapi_cache_seconds: float = Field(60, ge=0)  # how long documents of services are kept

    access_log: bool = True  # one record for each request, without query and tokens

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())
        return value
