"""Which namespaces may publish to which clusters.

Whoever may make Subscriptions in a namespace publishes with the hub's rights, so by default to all clusters. An
operator can limit that by entries `NAMESPACE=SELECTOR`, where the selector is one of labels of ManagedClusters. Once
there is an entry, a namespace without one may publish to no cluster; `*` stands for all namespaces that have none of
their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from clusternet_engine.model.names import is_dns_label
from clusternet_engine.model.selectors import Selector, parse_selector

OTHERS = "*"
"""Stands for all namespaces without an entry of their own."""


def parse_publisher(text: str) -> tuple[str, Selector]:
    """Return the namespace and the selector of one entry, such as `team-a=region in (eu,us)`; an empty selector is all.

    Raises:
        ValueError: it isn't one; the text says why.
    """
    namespace, equals, selector = text.partition("=")
    namespace = namespace.strip()
    if not equals or not (namespace == OTHERS or is_dns_label(namespace)):
        raise ValueError(f"{text!r} is not NAMESPACE=SELECTOR")
    return namespace, parse_selector(selector)


@dataclass(frozen=True, slots=True)
class Publishers:
    """The entries; none at all let every namespace publish to every cluster.

    Attributes:
        selectors: by namespace; of several one is enough.
    """

    selectors: Mapping[str, tuple[Selector, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Iterable[tuple[str, Selector]]) -> Publishers:
        """Return the publishers of parsed entries."""
        selectors: dict[str, tuple[Selector, ...]] = {}
        for namespace, selector in entries:
            selectors[namespace] = (*selectors.get(namespace, ()), selector)
        return cls(selectors)

    def may_publish(self, namespace: str) -> bool:
        """Return whether a namespace has anything to publish to."""
        return not self.selectors or bool(self._of(namespace))

    def may_publish_to(self, namespace: str, cluster_labels: Mapping[str, str] | None) -> bool:
        """Return whether a namespace may publish to the cluster with these labels."""
        return not self.selectors or any(selector.matches(cluster_labels) for selector in self._of(namespace))

    def _of(self, namespace: str) -> tuple[Selector, ...]:
        return self.selectors.get(namespace) or self.selectors.get(OTHERS, ())
