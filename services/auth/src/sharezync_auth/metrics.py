"""What auth counts."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sharezync_auth.refresh import RefreshVerdict


class AuthMetrics:
    """Passwords that were tried, those that had to wait, what hashing costs; refresh tokens."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.tries = Counter(
            "sharezync_auth_password_attempts_total",
            "Password attempts by purpose (login, change) and outcome (right, wrong; throttled and "
            "overloaded ones were not checked)",
            ("purpose", "outcome"),
            registry=registry,
        )
        refreshes = Counter(
            "sharezync_auth_refreshes_total",
            "Genuine refresh tokens that were shown, by verdict; `reused` is a token that two "
            "parties hold, and ends the session",
            ("verdict",),
            registry=registry,
        )
        self.refreshes = {
            verdict: refreshes.labels(verdict.name.lower()) for verdict in RefreshVerdict
        }
        throttled = Counter(
            "sharezync_auth_throttled_total",
            "Password attempts that were refused unchecked, by the limit that was reached",
            ("by",),
            registry=registry,
        )
        self.throttled_by_account = throttled.labels("account")
        self.throttled_by_address = throttled.labels("address")
        self.hashing_seconds = Histogram(
            "sharezync_auth_hashing_seconds",
            "Time to check or hash a password; a wrong one is checked against all kinds of hashes",
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
            registry=registry,
        )
        self.hashing = Gauge(
            "sharezync_auth_passwords_hashing",
            "Passwords that are being hashed or are waiting for a thread",
            registry=registry,
        )
