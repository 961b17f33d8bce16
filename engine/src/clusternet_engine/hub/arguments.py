"""Defines the flags of `clusternet-hub`, and what they must keep to; needs nothing but the standard library."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from clusternet_engine.flags import (
    ClientFlags,
    LeaderElectionFlags,
    ServingFlags,
    add_chart_flags,
    destinations,
    duration,
    make_parser,
    namespace,
    optional_host,
    port,
    positive_int,
)
from clusternet_engine.hub.settings import PeerSettings, RegistrationSettings, Settings
from clusternet_engine.model import constants as names
from clusternet_engine.model.addresses import PUSH_FLAG
from clusternet_engine.model.approval import Mode, Rule, parse_rules
from clusternet_engine.model.publishers import Publishers, parse_publisher
from clusternet_engine.model.rbac import ChildRights
from clusternet_engine.model.selectors import Selector

CONTROLLERS = (
    "crrapprover",
    "clusterlifecycle",
    "feedinventory",
    "scheduler",
    "subscription",
    "base",
    "helmrelease",
    "feed",
    "override",
    "aggregator",
    "description",
    "helmchart",
    "secretvalues",
    "chartlogin",
)
"""Names of all controllers, in the order in which they are told."""
PORT = 443
QPS, BURST = 500.0, 1000
"""Clusternet's own defaults, 50 and 100, let 200 clusters wait 40 s for their registration; the API server has its own
protection against too many requests."""
MIN_TOKEN_LIFETIME = 600
"""Seconds that API servers issue tokens for at least."""
REGISTRANT, ANY = "registrant", "any"


@dataclass(frozen=True, slots=True)
class Arguments:
    """Holds what the flags say, checked.

    Attributes:
        settings: the hub's own flags.
        access: how to reach the parent.
        serving: of the APIs, health and metrics.
        election: the Lease.
        peering: how other hubs reach this one.
        verbosity: how much to log.
    """

    settings: Settings
    access: ClientFlags
    serving: ServingFlags
    election: LeaderElectionFlags
    peering: PeerSettings
    verbosity: int


def parse(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> Arguments:
    """Return what a command line says; ends the program with a message if it is wrong.

    Args:
        parser: of `make_hub_parser`.
        argv: the arguments; None stands for those of this process.
    """
    arguments = parser.parse_args(argv)
    serving = ServingFlags.of(arguments, parser)
    election = LeaderElectionFlags.of(arguments, parser)
    settings = Settings(
        controllers=arguments.controllers,
        workers=arguments.threadiness,
        system_namespace=election.namespace,
        reserved_namespace=arguments.reserved_namespace,
        gates=arguments.feature_gates,
        helm_binary=arguments.helm_binary,
        push_addresses=arguments.push_addresses,
        repository_addresses=arguments.repository_addresses,
        published_secrets=arguments.published_secrets,
        child_rights=arguments.child_rights,
        registration=RegistrationSettings(
            nameless_registrants=arguments.registration_readers == ANY,
            approval=arguments.approval,
            rules=arguments.approval_rules,
            labels=arguments.child_labels,
            token_lifetime=arguments.child_token_lifetime,
        ),
        publishers=Publishers.of(arguments.publisher),
    )
    peering = PeerSettings(
        advertise_address=arguments.peer_advertise_address,
        bind_address=serving.bind_address,
        port=arguments.peer_port,
        token=arguments.peer_token,
    )
    return Arguments(settings, ClientFlags.of(arguments), serving, election, peering, arguments.verbosity)


def make_hub_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = make_parser(
        names.HUB, "Approves clusters that register with this parent cluster and watches over those that have."
    )
    ClientFlags.add(parser, qps=QPS, burst=BURST)
    # The parent's API server must get here, wherever it runs.
    ServingFlags.add(parser, PORT, "0.0.0.0")  # noqa: S104
    LeaderElectionFlags.add(parser, names.HUB)
    group = parser.add_argument_group("controllers")
    group.add_argument(
        "--controllers",
        type=controllers,
        default="*",
        metavar="NAME,…",
        help=f"controllers to run, of {', '.join(CONTROLLERS)}; * stands for all, -NAME leaves one out",
    )
    group.add_argument(
        "--threadiness",
        type=positive_int,
        default=10,
        metavar="N",
        help="objects a controller works on at the same time",
    )
    group.add_argument(
        "--reserved-namespace",
        type=namespace,
        default=names.RESERVED_NAMESPACE,
        metavar="NAMESPACE",
        help="namespace of Clusternet's own objects; no cluster may have it for itself",
    )
    group.add_argument(
        "--child-rights",
        type=ChildRights,
        choices=list(ChildRights),
        default=ChildRights.AGENT,
        help="what a child may do in its namespace on the parent: what this project's agent does, or also what only "
        "Clusternet's own agent does (take HelmReleases away, write EndpointSlices)",
    )
    group.add_argument(
        "--publisher",
        type=publisher,
        action="append",
        default=[],
        metavar="NAMESPACE=SELECTOR",
        help="let Subscriptions of a namespace go to clusters with these labels only, e.g. team-a=region in (eu,us); "
        "an empty selector is all clusters, the namespace * all that have no entry of their own; without entries every "
        "namespace may publish to every cluster, with entries no other; may be given more than once",
    )
    group.add_argument(
        "--published-secrets",
        choices=names.PUBLISHED_SECRETS,
        default=names.REFERENCED,
        help="referenced: values of published Secrets are kept in Secrets, which this project's hub and agents read; "
        "inline: they stand in custom resources, as Clusternet's agents in pull mode need it",
    )
    registration = parser.add_argument_group("registration")
    registration.add_argument(
        "--registration-readers",
        choices=(REGISTRANT, ANY),
        default=REGISTRANT,
        help=f"who reads a pending registration request, with the credential in it, that doesn't name who posted it:"
        f" nobody ({REGISTRANT}), or everybody with a registration token ({ANY}), as Clusternet's own agents need it",
    )
    group.add_argument(
        PUSH_FLAG,
        type=destinations,
        default=(),
        metavar="HOST,...",
        help="where the hub deploys to children, and asks their predictors, without a tunnel: hosts, *.domains, IP "
        "addresses and CIDRs, each with an optional :PORT; loopback and link-local addresses only as IP addresses or "
        "CIDRs; default none, so that children are reached through their tunnels only",
    )
    add_chart_flags(parser)
    registration.add_argument(
        "--approval",
        type=Mode,
        choices=list(Mode),
        default=Mode.AUTO,
        help="who decides about registration requests: nobody, an administrator, or rules and else an administrator",
    )
    registration.add_argument(
        "--approval-rules",
        type=approval_rules,
        default=(),
        metavar="JSON",
        help="with --approval=rules: a list of objects with names, namespaces and registrants (lists of patterns) and"
        " labels (a pattern for each key); a request is approved if all of one of them fits",
    )
    registration.add_argument(
        "--child-token-lifetime",
        type=token_lifetime,
        default="720h",
        metavar="DURATION",
        help="of the tokens by which clusters speak to the parent and which agents renew, at least 10m; 0 for ones"
        " that last until they are deleted, as Clusternet's own agents need them",
    )
    registration.add_argument(
        "--child-labels",
        type=label_patterns,
        default=None,
        metavar="PATTERN,…",
        help="keys of labels that clusters may wish for; default all but those of Clusternet itself",
    )
    peers = parser.add_argument_group(
        "other hubs",
        "With --leader-elect and the gate SocketConnection, replicas lend each other their tunnels.",
    )
    peers.add_argument(
        "--peer-advertise-address",
        type=optional_host,
        default="",
        metavar="HOST",
        help="where they reach this one; default --bind-address, else this host's address on the way to the parent",
    )
    peers.add_argument(
        "--peer-port", type=port, default=8123, metavar="PORT", help="port to listen on for them; 0 is any that is free"
    )
    peers.add_argument(
        "--peer-token",
        default="",
        metavar="TOKEN",
        help="by which they recognize this one; default a random one, since all users of a host see its arguments",
    )
    return parser


def controllers(text: str) -> frozenset[str]:
    """argparse type: the names of the controllers to run, as Kubernetes' controller managers take them.

    Raises:
        argparse.ArgumentTypeError: a name is unknown.
    """
    items = [item.strip() for item in text.split(",") if item.strip()]
    for item in items:
        if item != "*" and item.removeprefix("-") not in CONTROLLERS:
            raise argparse.ArgumentTypeError(f"unknown controller {item!r}; known are {', '.join(CONTROLLERS)}")
    chosen = set(CONTROLLERS) if "*" in items else {item for item in items if item in CONTROLLERS}
    return frozenset(chosen - {item.removeprefix("-") for item in items if item.startswith("-")})


def publisher(text: str) -> tuple[str, Selector]:
    """argparse type: a namespace, and the label selector of clusters that it may publish to.

    Raises:
        argparse.ArgumentTypeError: it isn't one; the text says why.
    """
    try:
        return parse_publisher(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def approval_rules(text: str) -> tuple[Rule, ...]:
    """argparse type: which registration requests are approved.

    Raises:
        argparse.ArgumentTypeError: they can't be read, or one allows everybody.
    """
    try:
        return parse_rules(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def token_lifetime(text: str) -> float:
    """argparse type: how long tokens live, in seconds; 0 is for ever.

    Raises:
        argparse.ArgumentTypeError: it is no duration, or API servers don't issue such a token.
    """
    seconds = duration(text)
    if seconds and not MIN_TOKEN_LIFETIME <= seconds < 2**32:
        raise argparse.ArgumentTypeError(f"{text} is neither 0 nor at least {MIN_TOKEN_LIFETIME} s and below 2^32 s")
    return seconds


def label_patterns(text: str) -> tuple[str, ...]:
    """argparse type: patterns of the keys of labels."""
    return tuple(filter(None, (part.strip() for part in text.split(","))))
