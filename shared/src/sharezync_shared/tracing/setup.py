"""Tracing as the settings ask for it."""

from importlib.metadata import version

from sharezync_shared.settings import Settings
from sharezync_shared.start_refused import StartRefused
from sharezync_shared.tracing.spans import Tracing


def make_tracing(settings: Settings, name: str) -> Tracing:
    """Return how the service `name` takes part in traces.

    Raises StartRefused where spans shall be exported and OpenTelemetry isn't installed, or a header
    isn't `name=value`.
    """
    endpoint = settings.otel_exporter_otlp_endpoint
    if not endpoint:
        return Tracing()
    try:
        # Here, since it costs memory and a quarter of a second in every process.
        from sharezync_shared.tracing.recorder import OtlpRecorder  # noqa: PLC0415
    except ImportError as error:
        raise StartRefused(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, and OpenTelemetry is not installed: "
            f"pip install 'sharezync-{name}[tracing]'"
        ) from error
    recorder = OtlpRecorder(
        f"sharezync-{name}", version(f"sharezync-{name}"), endpoint, _headers_of(settings)
    )
    return Tracing(
        recorder,
        ratio=settings.traces_ratio,
        asked_per_second=settings.traces_asked_per_second,
    )


def _headers_of(settings: Settings) -> dict[str, str]:
    said = settings.otel_exporter_otlp_headers
    pairs = said.get_secret_value().split(",") if said is not None else []
    headers = {}
    for pair in pairs:
        name, is_pair, value = pair.partition("=")
        if not is_pair or not name.strip():
            raise StartRefused("OTEL_EXPORTER_OTLP_HEADERS is not name=value, separated by commas")
        headers[name.strip()] = value.strip()
    return headers
