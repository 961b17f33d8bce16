"""The times of a leader election, and how they must fit together."""

from __future__ import annotations

JITTER = 1.2
"""Waiting candidates stretch their retry period by up to this factor, so that they do not race in step."""


def fit_together(lease_duration: float, renew_deadline: float, retry_period: float) -> bool:
    """Return whether a leader stops before others take over, and tries again before it has to stop."""
    return lease_duration > renew_deadline > retry_period * JITTER > 0
