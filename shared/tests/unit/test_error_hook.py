"""Error trackers hear of each exception that is logged with its traceback, in one place."""

import json
import subprocess
import sys

import pytest

from sharezync_shared.error_hook import load_error_hook
from sharezync_shared.start_refused import StartRefused

PROGRAM = """
import logging, sys, types
import structlog
from sharezync_shared.observability import configure_logging, request_id_var

seen = types.ModuleType("tracker")
def hook(error, fields):
    print(type(error).__name__, fields["event"], fields.get("request_id"), "exc_info" in fields)
    if isinstance(error, KeyError):
        raise RuntimeError("the tracker is broken")
seen.hook = hook
sys.modules["tracker"] = seen
configure_logging("info", "json", "things", error_hook="tracker:hook")
log = structlog.get_logger()
request_id_var.set("request-17")
log.info("fine")
log.error("no_exception")
for error in (ValueError("no"), KeyError("no")):
    try:
        raise error
    except LookupError:
        log.exception("looked_up")
    except ValueError:
        log.exception("went_wrong")
log.error("passed_on", exc_info=OSError("no"))
try:
    raise TypeError("no")
except TypeError:
    logging.getLogger("asyncio").exception("from a library")
"""


def test_a_hook_gets_each_exception_with_its_line_and_harms_nobody() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.splitlines() == [
        "ValueError went_wrong request-17 False",
        "KeyError looked_up request-17 False",
        "OSError passed_on request-17 False",
        "TypeError from a library None False",
    ]
    logged = [json.loads(line)["event"] for line in done.stderr.splitlines()]
    assert logged.count("error_hook_failed") == 1
    assert {"fine", "no_exception", "went_wrong", "looked_up", "passed_on"} <= {*logged}


@pytest.mark.parametrize("path", ["no.such.module:hook", "json:nothing", "json:__name__"])
def test_a_hook_that_is_none_is_refused_at_the_start(path: str) -> None:
    with pytest.raises(StartRefused, match="ERROR_HOOK"):
        load_error_hook(path)
