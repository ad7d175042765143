"""How long a test from outside waits for what must come; only a failing one waits as long."""

from typing import Final

DEADLINE_SECONDS: Final = 50
