"""One dashboard for each service: rate, errors and duration; use, saturation and errors."""

from collections.abc import Mapping, Sequence
from typing import Final

from deploy.observability.dashboards.panels import (
    NOTHING,
    WINDOW,
    Dashboard,
    Panel,
    quantiles,
    rate,
)

_HTTP: Final = "sharezync_http_request_duration_seconds"


def _requests(service: str) -> list[Panel]:
    where = f'service="{service}"'
    return [
        Panel(
            "Requests by route",
            "reqps",
            {"{{route}}": f"topk(10, {rate(f'{_HTTP}_count', 'route', where=where)})"},
            "The ten busiest. Without probes",
        ),
        Panel(
            "Requests that did not succeed",
            "reqps",
            {
                "{{status_class}}": rate(
                    f"{_HTTP}_count", "status_class", where=f'{where}, status_class!~"[123]xx"'
                )
                + f" {NOTHING}"
            },
            "4xx: the client's fault. 5xx: ours. aborted: the client left before it had the answer",
        ),
        Panel("Duration of requests", "s", quantiles(_HTTP, where=where)),
    ]


def _process(service: str) -> list[Panel]:
    job = f'job="{service}"'
    return [
        Panel(
            "CPU",
            "percentunit",
            {"{{instance}}": f"rate(process_cpu_seconds_total{{{job}}}[{WINDOW}])"},
            "Of one core: a process has one event loop",
        ),
        Panel(
            "Event loop lag",
            "s",
            quantiles("sharezync_event_loop_lag_seconds", "instance", where=job, of=(0.99,)),
            "By how much the process came later to anything than it should",
        ),
        Panel("Memory", "bytes", {"{{instance}}": f"process_resident_memory_bytes{{{job}}}"}),
        Panel(
            "Open files and connections",
            "percentunit",
            {"{{instance}}": f"process_open_fds{{{job}}} / process_max_fds{{{job}}}"},
            "Of those that the process may open",
        ),
        Panel(
            "Calls to other services",
            "short",
            {"{{service}}": f"max by (service) (sharezync_breaker_state{{{job}}}) {NOTHING}"},
            "State of the circuit breaker: 0 closed, 1 half open, 2 open",
        ),
        Panel(
            "Failures in the background, and exceptions",
            "ops",
            {
                "{{task}}": rate("sharezync_background_failures_total", "task", where=job)
                + f" {NOTHING}",
                "unhandled": rate(
                    "sharezync_unhandled_exceptions_total", where=f'service="{service}"'
                )
                + f" {NOTHING}",
            },
        ),
    ]


def _rows(service: str) -> list[Panel]:
    where = f'service="{service}"'
    pool = "service, pool"
    return [
        Panel(
            "Connections to the database in use",
            "percentunit",
            {
                "{{pool}}": (
                    f'sum by ({pool}) (sharezync_db_pool_connections{{{where}, state="used"}})'
                    f" / sum by ({pool}) (sharezync_db_pool_max_connections{{{where}}})"
                )
            },
        ),
        Panel(
            "Wait for a connection",
            "s",
            quantiles("sharezync_db_pool_wait_seconds", "pool", where=where, of=(0.99,)),
        ),
        Panel(
            "Outbox",
            "s",
            {"oldest": f"max(sharezync_outbox_oldest_seconds{{{where}}})"},
            "How long the oldest row has waited to be published",
        ),
    ]


_OWN: Final[Mapping[str, Sequence[Panel]]] = {
    "auth": (
        Panel(
            "Passwords",
            "ops",
            {
                "{{purpose}} {{outcome}}": rate(
                    "sharezync_auth_password_attempts_total", "purpose", "outcome"
                )
            },
            "throttled and overloaded ones were not looked at",
        ),
        Panel("Hashing", "s", quantiles("sharezync_auth_hashing_seconds", of=(0.5, 0.99))),
        Panel(
            "Passwords that are hashed or wait for a thread",
            "short",
            {"{{instance}}": "sharezync_auth_passwords_hashing"},
        ),
        Panel(
            "Refresh tokens",
            "ops",
            {"{{verdict}}": rate("sharezync_auth_refreshes_total", "verdict")},
            "reused: two parties hold a session's tokens; the session is ended",
        ),
        Panel("Throttled", "ops", {"by {{by}}": rate("sharezync_auth_throttled_total", "by")}),
        Panel(
            "Age of the signing key",
            "s",
            {"active": "max(sharezync_signing_key_age_seconds)"},
        ),
    ),
    "gateway": (
        Panel("Connections", "short", {"{{instance}}": "sharezync_ws_connections"}),
        Panel(
            "Connections that ended, by close code",
            "ops",
            {"{{code}}": rate("sharezync_ws_closes_total", "code")},
        ),
        Panel(
            "Bytes that wait to be sent", "bytes", {"{{instance}}": "sharezync_ws_send_queue_bytes"}
        ),
        Panel(
            "Calls to auth about this node",
            "ops",
            {
                "heartbeats {{result}}": rate("sharezync_gateway_heartbeats_total", "result"),
                "presence {{result}}": rate("sharezync_gateway_presence_requests_total", "result"),
                "revocations {{result}}": rate(
                    "sharezync_gateway_revocation_pulls_total", "result"
                ),
            },
        ),
        Panel(
            "Age of the published keys",
            "s",
            {"{{service}}": "max by (service) (sharezync_jwks_age_seconds)"},
            "Where each service keeps the public keys that tokens are verified with",
        ),
    ),
    "storage": (
        Panel(
            "Bytes received",
            "Bps",
            {"{{source}}": rate("sharezync_storage_received_bytes_total", "source")},
        ),
        Panel(
            "Bytes read",
            "Bps",
            {"{{source}}": rate("sharezync_storage_served_bytes_total", "source")},
        ),
        Panel(
            "Bytes kept",
            "bytes",
            {
                "files": "max(sharezync_storage_used_bytes)",
                "reserved": "max(sharezync_storage_reserved_bytes)",
                "to be deleted": "max(sharezync_storage_pending_deletion_bytes)",
            },
        ),
        Panel(
            "Disk",
            "percentunit",
            {"free": "min(sharezync_storage_disk_free_bytes / sharezync_storage_disk_total_bytes)"},
            "Where files are kept in a folder; a bucket has no such figure",
        ),
        Panel(
            "Unfinished uploads",
            "short",
            {
                "{{state}} {{source}}": "max by (state, source) (sharezync_storage_uploads)"
                f" {NOTHING}"
            },
        ),
        Panel(
            "Deletions",
            "short",
            {
                "pending": "max(sharezync_storage_pending_deletions)",
                "failing": "max(sharezync_storage_failing_deletions)",
                "detached files": "max(sharezync_storage_detached_files)",
                "expired uploads": "max(sharezync_storage_expired_uploads)",
            },
        ),
        Panel(
            "Deletions are late by",
            "s",
            {"oldest": "max(sharezync_storage_oldest_due_deletion_seconds)"},
        ),
        Panel(
            "Files without content",
            "short",
            {"missing": "max(sharezync_storage_missing_objects)"},
        ),
        Panel(
            "Users near their quota",
            "short",
            {"near": "max(sharezync_storage_users_near_quota)"},
        ),
    ),
}
"""What only one of them has."""


def service_dashboard(service: str) -> Dashboard:
    """Return the dashboard of a service."""
    rows = [] if service == "gateway" else _rows(service)
    own = list(_OWN.get(service, ()))
    return Dashboard(
        service, service.capitalize(), [*_requests(service), *own, *rows, *_process(service)]
    )
