"""Logs and the request id. Log events, not prose; never bodies, tokens or whole objects."""

import logging
import sys
from contextvars import ContextVar
from typing import Literal

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.types import EventDict, WrappedLogger

request_id_var: ContextVar[str | None] = ContextVar("request_id", default=None)


def _add_request_id(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    request_id = request_id_var.get()
    if request_id is not None:
        event.setdefault("request_id", request_id)
    return event


def configure_logging(
    level: str = "info", log_format: Literal["console", "json"] = "json", service: str = ""
) -> None:
    """Send structlog's and the standard library's records to stderr, in one form.

    `json` writes one object a line, for machines; `console` is for people. `service` names the
    process in every record. Call it once, in `__main__`.
    """
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )

    def add_service(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event.setdefault("service", service)
        return event

    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_request_id,
        *([add_service] if service else []),
    ]
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    final: list[structlog.types.Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta
    ]
    if log_format == "json":
        # The default would write out local variables: tokens and passwords among them.
        without_locals = ExceptionDictTransformer(show_locals=False)
        final.append(structlog.processors.ExceptionRenderer(without_locals))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[*final, renderer])
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    # Libraries that tell every connection and statement at INFO.
    for noisy in ("aio_pika", "httpx", "httpcore", "botocore", "aiobotocore", "alembic"):
        logging.getLogger(noisy).setLevel(max(number, logging.WARNING))
    # An error for each attempt to reconnect; our own connection tells of outages once.
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)
