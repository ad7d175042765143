"""What a module logs, seen by a test whatever other tests have configured."""

from types import ModuleType
from typing import Any

import pytest


class Lines:
    """Stands in for a module's `log`."""

    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []
        """Each record as it was written, with `event` and `level`."""

    @classmethod
    def capture(cls, module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> "Lines":
        """Take what `module` logs until the test ends."""
        lines = cls()
        monkeypatch.setattr(module, "log", lines)
        return lines

    def __getattr__(self, level: str) -> Any:  # noqa: ANN401 - a method for each level
        def write(event: str, **fields: Any) -> None:  # noqa: ANN401 - as structlog has it
            self.written.append({"level": level, "event": event, **fields})

        return write

    def count(self, event: str) -> int:
        """Return how many records of this name were written."""
        return sum(line["event"] == event for line in self.written)
