"""What auth counts."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class AuthMetrics:
    """Passwords that were tried, those that had to wait, and what hashing costs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.tries = Counter(
            "sharezync_auth_password_tries_total",
            "Passwords shown at a door (login, change) by outcome: right, wrong; throttled and "
            "overloaded ones were not looked at",
            ("door", "outcome"),
            registry=registry,
        )
        throttled = Counter(
            "sharezync_auth_throttled_total",
            "Passwords that were not looked at, by what had failed too often, the account first",
            ("by",),
            registry=registry,
        )
        self.throttled_by_account = throttled.labels("account")
        self.throttled_by_address = throttled.labels("address")
        self.hashing_seconds = Histogram(
            "sharezync_auth_hashing_seconds",
            "How long a password kept its thread; a wrong one pays for all kinds of hashes",
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
            registry=registry,
        )
        self.hashing = Gauge(
            "sharezync_auth_passwords_hashing",
            "Passwords that are being hashed, or wait for a thread",
            registry=registry,
        )
