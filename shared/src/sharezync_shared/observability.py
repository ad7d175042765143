"""Logs and the request id. Log events, not prose; never bodies, tokens or whole objects."""

import logging
import re
import sys
import traceback
from contextvars import ContextVar
from typing import Any, Final, Literal

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.types import EventDict, ExcInfo, WrappedLogger

from sharezync_shared.error_hook import ErrorHookHandler, load_error_hook
from sharezync_shared.tracing.context import current_trace

request_id_var: ContextVar[str | None] = ContextVar("request_id", default=None)


_NEWLINE: Final = r"(?:\n|\\+n)"  # in a text, or in the repr of one
_VALUES: Final = (
    # PostgreSQL shows the row, or the key, that it refuses; what follows may be of several lines.
    (
        re.compile(
            _NEWLINE + r"DETAIL:.*?(?=" + _NEWLINE + r"(?:HINT:|\[SQL|\(Background)|\Z)", re.DOTALL
        ),
        "",
    ),
    (
        re.compile(r"\[parameters: .*?\](?=" + _NEWLINE + r"\(Background|\Z)", re.DOTALL),
        "[parameters hidden]",
    ),
    # asyncpg shows the argument that it can't encode, PostgreSQL the text that it can't read.
    (re.compile(r"(invalid input for query argument \$\d+)\b.*", re.DOTALL), r"\1"),
    (
        re.compile(
            r"((?:invalid input syntax|out of range|invalid input value) for [^\n:]*):.*", re.DOTALL
        ),
        r"\1",
    ),
    (re.compile(r"(date/time field value out of range):.*", re.DOTALL), r"\1"),
)
_HINTS_AT_VALUES: Final = (
    "DETAIL:",
    "[parameters:",
    "query argument $",
    "nvalid input",
    "out of range",
)


def scrub(text: str) -> str:
    """Return the text of an error without the values that a statement was given, if it holds any.

    What people write, and who they are, is not for logs; which constraint was violated is.
    """
    if any(hint in text for hint in _HINTS_AT_VALUES):
        for pattern, instead in _VALUES:
            text = pattern.sub(instead, text)
    return text


def _scrub_event(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    for key, value in event.items():
        if isinstance(value, str | list | dict):
            event[key] = _scrub_deep(value)
    return event


def _scrub_deep(value: Any) -> Any:  # noqa: ANN401 - what a record holds is any JSON
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, list):
        return [_scrub_deep(each) for each in value]
    if isinstance(value, dict):
        return {key: _scrub_deep(each) for key, each in value.items()}
    return value


def _plain_traceback(stream: Any, exc_info: ExcInfo) -> None:  # noqa: ANN401 - as structlog has it
    """Write a traceback without the values of statements in its errors' texts."""
    told = traceback.TracebackException(*exc_info)
    waiting = [told]
    while waiting:
        each = waiting.pop()
        # The text alone, or all that follows it in the traceback would be taken for a value.
        each._str = scrub(str(each))  # type: ignore[attr-defined]  # noqa: SLF001 - there is no other way to it
        waiting += [other for other in (each.__cause__, each.__context__) if other is not None]
        waiting += each.exceptions or ()
    stream.writelines(told.format())


def _add_context(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    request_id = request_id_var.get()
    if request_id is not None:
        event.setdefault("request_id", request_id)
    trace = current_trace.get()
    if trace is not None and trace.traceparent:
        event.setdefault("trace_id", trace.trace_id)
        event.setdefault("span_id", trace.span_id)
    return event


def configure_logging(
    level: str = "info",
    log_format: Literal["console", "json"] = "json",
    service: str = "",
    error_hook: str | None = None,
) -> None:
    """Send structlog's and the standard library's records to stderr, in one form.

    `json` writes one object a line, for machines; `console` is for people. `service` names the
    process in every record; `error_hook` what is called with exceptions (error_hook.py). Call it
    once, in `__main__`. Raises StartRefused where the hook can't be imported.
    """
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=_plain_traceback
        )
    )

    def add_service(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event.setdefault("service", service)
        return event

    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_context,
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
    final.append(_scrub_event)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[*final, renderer])
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    if error_hook is not None:
        root.addHandler(ErrorHookHandler(load_error_hook(error_hook)))
    root.setLevel(number)
    # Libraries that tell every connection and statement at INFO.
    for noisy in ("aio_pika", "httpx", "httpcore", "botocore", "aiobotocore", "alembic"):
        logging.getLogger(noisy).setLevel(max(number, logging.WARNING))
    # SQLAlchemy's pool is a class of ours there, and logs under its name.
    logging.getLogger("sharezync_shared.db.database").setLevel(max(number, logging.WARNING))
    # A warning for each malformed form, with a piece of it: anybody could fill the log.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    # An error for each attempt to reconnect, and a warning with a traceback; what is ours tells of
    # outages once.
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)
    logging.getLogger("asyncpg").setLevel(logging.ERROR)
    # An error, with a traceback, for each batch that no collector took.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
