"""Hub and agent processes that were deployed into a lab's folder."""

from pathlib import Path

def end(folder: Path) -> None:
    """End"""
