"""What the hub is told by its flags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from clusternet_engine.model import constants as names
from clusternet_engine.model import features
from clusternet_engine.model.approval import Mode, Rule
from clusternet_engine.model.dialling import Destination
from clusternet_engine.model.publishers import Publishers
from clusternet_engine.model.rbac import ChildRights


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationSettings:
    """How clusters register.

    Attributes:
        nameless_registrants: whether every registration token may read pending requests that name no registrant.
        approval: who decides about requests.
        rules: which are approved, with `Mode.RULES`.
        labels: patterns of the keys of labels that clusters may wish for; None if all are allowed.
        token_lifetime: of the tokens that clusters get, in seconds; 0 for tokens that last.
    """

    nameless_registrants: bool = False
    approval: Mode = Mode.AUTO
    rules: tuple[Rule, ...] = ()
    labels: tuple[str, ...] | None = None
    token_lifetime: float = 720 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The hub's own flags (spec/05 §7), checked.

    Attributes:
        controllers: names of those to run.
        workers: keys each controller works on at the same time.
        system_namespace: where the hub keeps its Lease and its serving certificate.
        reserved_namespace: where Manifests are kept.
        gates: feature gates.
        helm_binary: name or path of the program that installs charts.
        push_addresses: where children may be reached without a tunnel.
        repository_addresses: special addresses at which chart repositories may be.
        child_rights: what children may do in their dedicated namespaces.
        registration: how clusters register.
        publishers: which namespaces may publish to which clusters.
        published_secrets: where the values of published Secrets are kept; one of `names.PUBLISHED_SECRETS`.
    """

    controllers: frozenset[str]
    workers: int
    system_namespace: str
    reserved_namespace: str
    gates: Mapping[str, bool]
    helm_binary: str = "helm"
    push_addresses: tuple[Destination, ...] = ()
    repository_addresses: tuple[Destination, ...] = ()
    child_rights: ChildRights = ChildRights.AGENT
    registration: RegistrationSettings = RegistrationSettings()
    publishers: Publishers = field(default_factory=Publishers)
    published_secrets: str = names.REFERENCED

    def enabled(self, gate: str) -> bool:
        """Return whether a feature gate is on."""
        return features.enabled(self.gates, gate)

    @property
    def references_values(self) -> bool:
        """Whether custom resources refer to the values of Secrets, instead of holding them."""
        return self.published_secrets == names.REFERENCED


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSettings:
    """How other replicas reach this one (spec/05 §7.2).

    Attributes:
        advertise_address: that they connect to; empty if it has to be found out.
        bind_address: that this one listens on.
        port: that this one listens on; 0 is any that is free.
        token: by which they recognize this one; empty for a random one.
    """

    advertise_address: str
    bind_address: str
    port: int
    token: str = field(repr=False)
