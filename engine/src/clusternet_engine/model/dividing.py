"""Dividing replicas among clusters (spec/03 §4). Whoever comes first wins a tie, so callers order clusters by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def divide_by_weight(desired: int, weights: Sequence[int]) -> list[int]:
    """Divide replicas in proportion to weights; the rest goes one each to the heaviest (spec/03 §4.1).

    Returns:
        One number for each weight. Without any weight nobody gets a share.
    """
    total = sum(weights)
    if not total:
        return [0] * len(weights)
    shares = [weight * desired // total for weight in weights]
    heaviest = sorted(range(len(weights)), key=lambda index: -weights[index])
    for index in heaviest[: desired - sum(shares)]:
        shares[index] += 1
    return shares


def divide_by_room(difference: int, rooms: Sequence[int]) -> list[int]:
    """Divide a difference in proportion to rooms; the rest goes to the largest fractions (spec/03 §4.2).

    Args:
        difference: replicas to add, or below 0 those to take away.
        rooms: how many each can take, or has when some are taken away.

    Returns:
        One number for each room. What doesn't fit is dropped: nobody gets more than its room.
    """
    total = sum(rooms)
    if abs(difference) >= total:
        return [room if difference > 0 else -room for room in rooms]
    parts = [divmod(room * abs(difference), total) for room in rooms]
    shares = [whole for whole, _ in parts]
    largest = sorted(range(len(rooms)), key=lambda index: -parts[index][1])
    for index in largest[: abs(difference) - sum(shares)]:
        shares[index] += 1
    return shares if difference > 0 else [-share for share in shares]


def spread(desired: int, current: Mapping[str, int], rooms: Mapping[str, int]) -> dict[str, int]:
    """Bring the replicas of one feed to the desired number by moving as few as possible (spec/03 §4.2).

    Args:
        desired: replicas wanted in all clusters together.
        current: replicas by cluster.
        rooms: how many more each feasible cluster can take; only looked at when there are too few replicas.

    Returns:
        Replicas by cluster: those that have some now, and the feasible ones when some were added.
    """
    difference = desired - sum(current.values())
    if difference == 0:
        return dict(current)
    base = rooms if difference > 0 else current
    shares = divide_by_room(difference, list(base.values()))
    result = dict(current)
    for cluster, share in zip(base, shares, strict=True):
        result[cluster] = result.get(cluster, 0) + share
    return result


def rebalance(desired: int, current: Mapping[str, int], rooms: Mapping[str, int]) -> dict[str, int]:
    """Divide the replicas of one feed anew among the feasible clusters, whoever has them now.

    What a cluster runs already counts as room, because its predictor doesn't count it.
    """
    whole = [room + current.get(cluster, 0) for cluster, room in rooms.items()]
    return dict(zip(rooms, divide_by_room(desired, whole), strict=True))
