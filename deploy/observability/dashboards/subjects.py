"""Dashboards of what several services do together, and of what they stand on."""

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
_USERS: Final = 'service="gateway"'
_TRANSFER: Final = 'service="transfer"'
_DELIVERY: Final = "sharezync_ws_delivery_seconds"
_COMMANDS: Final = "sharezync_ws_command_duration_seconds"
_QUEUES: Final = "rabbitmq_detailed_queue_messages"

OVERVIEW: Final = Dashboard(
    "overview",
    "Overview",
    [
        Panel(
            "Requests that were answered",
            "percentunit",
            {
                "5 minutes": "1 - sharezync:requests_failed:ratio_rate5m",
                "1 hour": "1 - sharezync:requests_failed:ratio_rate1h",
            },
            "The objective is 99.9 % in 30 days",
            kind="stat",
        ),
        Panel(
            "Events that were delivered in half a second",
            "percentunit",
            {
                "5 minutes": "1 - sharezync:events_late:ratio_rate5m",
                "1 hour": "1 - sharezync:events_late:ratio_rate1h",
            },
            "The objective is 99 % in 30 days",
            kind="stat",
        ),
        Panel(
            "Processes",
            "short",
            {"{{service}} {{version}}": "sum by (service, version) (sharezync_build_info)"},
            kind="stat",
        ),
        Panel(
            "Requests",
            "reqps",
            {"{{status_class}}": rate(f"{_HTTP}_count", "status_class", where=_USERS)},
            stacked=True,
        ),
        Panel("Duration of requests", "s", quantiles(_HTTP, where=_USERS)),
        Panel("Connections", "short", {"all": "sum(sharezync_ws_connections)"}),
        Panel("Commands", "ops", {"{{result}}": rate(f"{_COMMANDS}_count", "result")}),
        Panel("Frames delivered", "ops", {"all": rate("sharezync_ws_frames_delivered_total")}),
        Panel("Delivery, from commit to socket", "s", quantiles(_DELIVERY)),
        Panel(
            "Oldest row in the outbox",
            "s",
            {"{{service}}": "max by (service) (sharezync_outbox_oldest_seconds)"},
        ),
        Panel("Dead letters", "short", {"all": f'sum({_QUEUES}{{queue=~".*[.]dlq"}}) {NOTHING}'}),
        Panel(
            "CPU",
            "percentunit",
            {"{{job}}": f"sum by (job) (rate(process_cpu_seconds_total[{WINDOW}]))"},
        ),
    ],
)

DELIVERY: Final = Dashboard(
    "delivery",
    "Chat delivery",
    [
        Panel(
            "From commit to socket",
            "s",
            quantiles(_DELIVERY, of=(0.5, 0.95, 0.99, 0.999)),
            "From the transaction of an event to the writing of its frame to a connection",
        ),
        Panel(
            "Late by more than half a second",
            "percentunit",
            {
                "late": f'1 - (sum(rate({_DELIVERY}_bucket{{le="0.5"}}[{WINDOW}]))'
                f" / sum(rate({_DELIVERY}_count[{WINDOW}])))"
            },
        ),
        Panel(
            "Frames delivered",
            "ops",
            {"{{instance}}": rate("sharezync_ws_frames_delivered_total", "instance")},
        ),
        Panel("Commands by type", "ops", {"{{type}}": rate(f"{_COMMANDS}_count", "type")}),
        Panel(
            "Commands that did not succeed",
            "ops",
            {
                "{{type}} {{result}}": rate(
                    f"{_COMMANDS}_count", "type", "result", where='result!="done"'
                )
                + f" {NOTHING}"
            },
        ),
        Panel(
            "Time to an answer",
            "s",
            quantiles(_COMMANDS, "type", where='type=~"send_message|mark_read"', of=(0.5, 0.99)),
        ),
        Panel(
            "Frames that were dropped",
            "ops",
            {"{{reason}}": rate("sharezync_ws_frames_dropped_total", "reason") + f" {NOTHING}"},
        ),
        Panel(
            "Streams resumed",
            "ops",
            {"{{result}}": rate("sharezync_ws_resumes_total", "result") + f" {NOTHING}"},
            "reset: more was missed than is replayed, and the client reads everything anew",
        ),
        Panel(
            "Publishing of frames",
            "s",
            quantiles(
                "sharezync_publish_duration_seconds",
                "service",
                where='kind="frames", result="confirmed"',
                of=(0.99,),
            ),
        ),
    ],
)

TRANSFERS: Final = Dashboard(
    "transfers",
    "Transfers",
    [
        Panel(
            "Chunks received on connections",
            "Bps",
            {"all": rate("sharezync_ws_chunk_stored_bytes_total")},
        ),
        Panel(
            "Chunks sent on connections",
            "Bps",
            {"all": rate("sharezync_ws_chunk_delivered_bytes_total")},
        ),
        Panel(
            "Chunks that were refused",
            "ops",
            {"{{code}}": rate("sharezync_ws_chunks_refused_total", "code") + f" {NOTHING}"},
        ),
        Panel(
            "Deliveries that stalled",
            "ops",
            {"all": rate("sharezync_ws_deliveries_stalled_total")},
            "The recipient acknowledged nothing for too long",
        ),
        Panel(
            "Bytes stored",
            "Bps",
            {"{{source}}": rate("sharezync_storage_received_bytes_total", "source")},
        ),
        Panel(
            "Bytes read",
            "Bps",
            {"{{source}}": rate("sharezync_storage_served_bytes_total", "source")},
        ),
        Panel(
            "Calls of transfer",
            "reqps",
            {"{{route}}": f"topk(8, {rate(f'{_HTTP}_count', 'route', where=_TRANSFER)})"},
        ),
        Panel(
            "Duration of chunk calls at storage",
            "s",
            quantiles(
                _HTTP, "method", where='service="storage", route=~".*chunks.*"', of=(0.5, 0.99)
            ),
        ),
    ],
)

BROKER: Final = Dashboard(
    "broker",
    "Broker",
    [
        Panel(
            "Events that wait, by queue",
            "short",
            {"{{queue}}": f'sum by (queue) ({_QUEUES}{{queue=~".*[.]events"}})'},
        ),
        Panel(
            "Events that rest before another attempt",
            "short",
            {"{{queue}}": f'sum by (queue) ({_QUEUES}{{queue=~".*[.]retry[.].*"}})'},
        ),
        Panel(
            "Dead letters and unrouted events",
            "short",
            {"{{queue}}": f'sum by (queue) ({_QUEUES}{{queue=~".*[.](dlq|unrouted)"}})'},
        ),
        Panel(
            "Consumers",
            "short",
            {
                "{{queue}}": "sum by (queue) "
                '(rabbitmq_detailed_queue_consumers{queue=~".*[.]events"})'
            },
        ),
        Panel(
            "Attempts at events",
            "ops",
            {"{{queue}} {{result}}": rate("sharezync_events_consumed_total", "queue", "result")},
        ),
        Panel(
            "From commit to handled",
            "s",
            quantiles("sharezync_event_delivery_seconds", "queue", of=(0.5, 0.99)),
            "Retries included",
        ),
        Panel(
            "Facts published",
            "ops",
            {
                "{{service}} {{result}}": rate(
                    "sharezync_events_published_total", "service", "result"
                )
            },
        ),
        Panel(
            "Publishing",
            "s",
            quantiles("sharezync_publish_duration_seconds", "service", "kind", of=(0.99,)),
        ),
        Panel(
            "Publishing that failed",
            "ops",
            {
                "{{service}} {{kind}}": rate(
                    "sharezync_publish_duration_seconds_count",
                    "service",
                    "kind",
                    where='result="failed"',
                )
            },
        ),
        Panel(
            "Rows in the outbox",
            "short",
            {"{{service}}": "max by (service) (sharezync_outbox_pending)"},
        ),
        Panel(
            "Memory of the broker", "bytes", {"used": "sum(rabbitmq_process_resident_memory_bytes)"}
        ),
        Panel(
            "Alarms of the broker",
            "short",
            {
                "memory": "max(rabbitmq_alarms_memory_used_watermark)",
                "disk": "max(rabbitmq_alarms_free_disk_space_watermark)",
            },
            "1: it takes nothing from publishers",
        ),
    ],
)

DATABASE: Final = Dashboard(
    "database",
    "Database",
    [
        Panel(
            "Connections in use",
            "short",
            {
                "{{service}} {{pool}}": "sum by (service, pool) "
                '(sharezync_db_pool_connections{state="used"})'
            },
        ),
        Panel(
            "Connections that are idle",
            "short",
            {
                "{{service}} {{pool}}": "sum by (service, pool) "
                '(sharezync_db_pool_connections{state="idle"})'
            },
        ),
        Panel(
            "Connections that may be opened",
            "short",
            {
                "{{service}}": "sum by (service) (sharezync_db_pool_max_connections)",
                "all": "sum(sharezync_db_pool_max_connections)",
            },
            "PostgreSQL's max_connections must allow all of them",
        ),
        Panel(
            "Connections given out",
            "ops",
            {
                "{{service}} {{pool}}": rate(
                    "sharezync_db_pool_wait_seconds_count", "service", "pool"
                )
            },
        ),
        Panel(
            "Wait for a connection",
            "s",
            quantiles("sharezync_db_pool_wait_seconds", "service", "pool", of=(0.99,)),
        ),
        Panel(
            "Rows in the outbox",
            "short",
            {"{{service}}": "max by (service) (sharezync_outbox_pending)"},
        ),
    ],
    "What services see of PostgreSQL. What it says of itself is for postgres_exporter",
)
