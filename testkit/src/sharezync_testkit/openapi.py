"""OpenAPI documents by OpenAPI's own rules."""

from typing import Any


def check_openapi(document: dict[str, Any]) -> None:
    """Raise what is wrong with a document."""
    # Loaded here: its libraries make forty grammars, for which every process would take a second.
    from openapi_spec_validator import validate  # noqa: PLC0415 - as above

    validate(document)
