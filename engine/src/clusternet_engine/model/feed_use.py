"""Who uses a feed: labels on it say so, and an annotation why it can't be deleted (spec/01 §6, spec/03 §9)."""

from __future__ import annotations

from collections.abc import Collection

from clusternet_engine.kube.resources import Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.uid_labels import uid_label

MAX_LABELS = 1000
"""Labels that a feed gets. One that goes to thousands of clusters would outgrow what can be stored."""
_MAX_NAMED = 10
"""Subscriptions that the annotation names."""


def use_labels(users: Collection[Object]) -> dict[str, str]:
    """Return the labels of a feed for the Subscriptions and Bases that use it; of too many only the Subscriptions."""
    if len(users) > MAX_LABELS:
        users = [user for user in users if user["kind"] == names.SUBSCRIPTION_KIND][:MAX_LABELS]
    return {key: value for user in users for key, value in uid_label(user).items()}


def protection_text(subscriptions: Collection[Object]) -> str:
    """Return why a feed isn't deleted: it names the Subscriptions that list it."""
    keys = sorted(f"{one['metadata']['namespace']}/{one['metadata']['name']}" for one in subscriptions)
    shown = ", ".join(keys[:_MAX_NAMED])
    more = f" and {len(keys) - _MAX_NAMED} more" if len(keys) > _MAX_NAMED else ""
    return (
        f"It is in use by Subscription {shown}{more}; it is deleted as soon as no Subscription lists it in its feeds."
    )
