"""Feature gates: `--feature-gates=Name=true,Other=false` (spec/05 §6)."""

from __future__ import annotations

from collections.abc import Mapping

SOCKET_CONNECTION = "SocketConnection"
SHADOW_API = "ShadowAPI"
APP_PUSHER = "AppPusher"
RECOVERY = "Recovery"
PREDICTOR = "Predictor"
MULTI_CLUSTER_SERVICE = "MultiClusterService"
DEPLOYER = "Deployer"
FEED_IN_USE_PROTECTION = "FeedInUseProtection"
FEED_INVENTORY = "FeedInventory"
CLUSTER_INIT = "ClusterInit"
FAIL_OVER = "FailOver"
FEASIBLE_CLUSTERS_TOLERATION = "FeasibleClustersToleration"

GATES = (
    SOCKET_CONNECTION,
    SHADOW_API,
    APP_PUSHER,
    RECOVERY,
    PREDICTOR,
    MULTI_CLUSTER_SERVICE,
    DEPLOYER,
    FEED_IN_USE_PROTECTION,
    FEED_INVENTORY,
    CLUSTER_INIT,
    FAIL_OVER,
    FEASIBLE_CLUSTERS_TOLERATION,
)
"""All gates; every program knows all of them, all are off unless switched on."""

_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}


def parse_bool(text: str) -> bool:
    """Return the truth value of a word as Go's flags take it.

    Raises:
        ValueError: the word is none of `true`, `false`, `1`, `0`, `t`, `f` (in the spellings of Go).
    """
    if text not in _BOOLEANS:
        raise ValueError(f"{text!r} is neither true nor false")
    return _BOOLEANS[text]


def parse_gates(text: str) -> dict[str, bool]:
    """Return the gates switched on or off by a list such as `AppPusher=true,Recovery=false`.

    Raises:
        ValueError: an item is not of that form, or its gate is unknown.
    """
    gates: dict[str, bool] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        gate, equals, value = (part.strip() for part in item.partition("="))
        if not equals:
            raise ValueError(f"{item!r} is not of the form Gate=true or Gate=false")
        if gate not in GATES:
            raise ValueError(f"unknown feature gate {gate!r}; known are {', '.join(GATES)}")
        try:
            gates[gate] = parse_bool(value)
        except ValueError as error:
            raise ValueError(f"feature gate {gate}: {error}") from None
    return gates


def enabled(gates: Mapping[str, bool], gate: str) -> bool:
    """Return whether a gate is on."""
    return gates.get(gate, False)
