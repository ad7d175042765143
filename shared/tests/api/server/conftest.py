"""The server is tried on the event loop that it runs on: uvloop's, where there is one."""

import asyncio
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec

import pytest

LOOP = os.environ.get("SERVER_TEST_LOOP", "uvloop")
"""`asyncio` tries that of the standard library, which Windows is left with."""


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Name the loop, for pytest-asyncio."""
    if LOOP == "asyncio" or find_spec("uvloop") is None:
        return {"asyncio": asyncio.new_event_loop}
    import uvloop  # noqa: PLC0415 - there is none on Windows

    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def errors(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Asserts that nothing was logged as an error, whatever strangers do."""
    caplog.set_level(logging.WARNING)
    yield
    records = caplog.get_records("call")
    assert not [r.getMessage() for r in records if r.levelno >= logging.ERROR or r.exc_info]
