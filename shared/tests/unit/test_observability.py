import json
import subprocess
import sys
from typing import Literal

import pytest

PROGRAM = """
import logging, structlog
from sharezync_shared.observability import configure_logging, request_id_var
configure_logging("info", "{form}", "things")
log = structlog.get_logger()
request_id_var.set("request-17")

def fail(password):
    raise ValueError("went wrong")

log.info("thing_made", thing_id=7)
log.debug("never_shown")
logging.getLogger("library").warning("from a library")
logging.getLogger("asyncpg.pool").warning("an outage that others tell of")
try:
    fail("hunter2-the-secret")
except ValueError:
    log.exception("thing_failed")
"""


def lines(form: Literal["json", "console"]) -> list[str]:
    """What a process logs; a process of its own, since logging is one for all of it."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(form=form)],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_json_logs_are_one_object_a_line_with_service_and_request() -> None:
    made, library, failed = (json.loads(line) for line in lines("json"))
    assert made["event"] == "thing_made"
    assert made["thing_id"] == 7
    assert made["service"] == library["service"] == "things"
    assert made["request_id"] == "request-17"
    assert made["level"] == "info"
    assert made["timestamp"].endswith("Z")
    assert library["event"] == "from a library"
    assert failed["exception"][0]["exc_type"] == "ValueError"


@pytest.mark.parametrize("form", ["json", "console"])
def test_local_variables_are_never_logged(form: Literal["json", "console"]) -> None:
    text = "\n".join(lines(form))
    assert "went wrong" in text
    assert "hunter2" not in text.replace('fail("hunter2-the-secret")', "")
