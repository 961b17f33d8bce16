"""Where labs and built programs live."""

import os
from pathlib import Path


def labs_home() -> Path:
    """Return the folder with one subfolder a lab: ``$CLUSTERNET_LAB_HOME`` or ``$XDG_STATE_HOME/clusternet-lab``."""
    if chosen := os.environ.get("CLUSTERNET_LAB_HOME"):
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state").absolute() / "clusternet-lab"


def cache_home() -> Path:
    """Return the folder for built programs and port claims: ``$XDG_CACHE_HOME/clusternet-lab``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "clusternet-lab"
