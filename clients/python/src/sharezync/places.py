"""Where something is kept between two runs: by the XDG Base Directory Specification."""

import os
from pathlib import Path


def config_folder() -> Path:
    """Return the folder of what was chosen: `$XDG_CONFIG_HOME/sharezync`."""
    return _xdg("XDG_CONFIG_HOME", ".config")


def state_folder() -> Path:
    """Return the folder of what is under way: `$XDG_STATE_HOME/sharezync`."""
    return _xdg("XDG_STATE_HOME", ".local/state")


def _xdg(variable: str, default: str) -> Path:
    given = os.environ.get(variable, "")
    # Relative paths are invalid there (XDG Base Directory Specification).
    base = Path(given) if given and Path(given).is_absolute() else Path.home() / default
    return base / "sharezync"
