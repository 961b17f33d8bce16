"""Flags that hub and agent share (spec/05 §7.1), as groups of an argparse parser and as typed values."""

from __future__ import annotations

import argparse
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from clusternet_engine.model import constants as names
from clusternet_engine.model.addresses import (
    REPOSITORY_FLAG,
    looks_like_ip,
    parse_destinations,
    parse_ip,
    parse_networks,
)
from clusternet_engine.model.durations import parse_duration
from clusternet_engine.model.election import JITTER, fit_together
from clusternet_engine.model.features import GATES, parse_bool, parse_gates
from clusternet_engine.model.names import is_dns_label, is_dns_subdomain

T = TypeVar("T")


def _flag_type(name: str, parse: Callable[[str], T]) -> Callable[[str], T]:
    """Return `parse` as an argparse type: argparse shows the text of its ValueError with the flag's name."""

    def convert(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    convert.__name__ = name
    return convert


duration = _flag_type("duration", parse_duration)
"""argparse type: a Go duration; the value is in seconds."""
boolean = _flag_type("boolean", parse_bool)
"""argparse type: true or false; use it with `nargs="?", const=True`, as Go's flags may stand without a value."""
feature_gates = _flag_type("feature gates", parse_gates)
destinations = _flag_type("destinations", parse_destinations)
"""argparse type: a list of hosts, *.domains, IP addresses and CIDRs, each with an optional port."""
networks = _flag_type("networks", parse_networks)
"""argparse type: a list of IP addresses and CIDRs, each with an optional port."""


def positive_duration(text: str) -> float:
    """argparse type: a Go duration above zero, in seconds."""
    seconds = duration(text)
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above zero")
    return seconds


def port(text: str) -> int:
    """argparse type: a TCP port, 0 for none."""
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return int(text)


def positive_int(text: str) -> int:
    """argparse type: a whole number above zero."""
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return int(text)


def positive_float(text: str) -> float:
    """argparse type: a number above zero."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above zero")
    return value


def namespace(text: str) -> str:
    """argparse type: the name of a namespace."""
    if not is_dns_label(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not the name of a namespace: at most 63 lower-case letters, digits and '-', which begin and"
            " end with a letter or digit"
        )
    return text


def host(text: str) -> str:
    """argparse type: an IP address or a DNS name."""
    if not (parse_ip(text) is not None if looks_like_ip(text) else is_dns_subdomain(text.lower())):
        raise argparse.ArgumentTypeError(f"{text!r} is neither an IP address nor a DNS name")
    return text


def optional_host(text: str) -> str:
    """argparse type: an IP address, a DNS name, or nothing."""
    return host(text) if text else ""


def program(text: str) -> str:
    """argparse type: the name or path of a program."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty, and must be the name or path of a program")
    return text


def health_paths(text: str) -> frozenset[str]:
    """argparse type: paths of health and metrics.

    Raises:
        argparse.ArgumentTypeError: nothing is served at one of them.
    """
    paths = frozenset(path.strip() for path in text.split(",") if path.strip())
    known = (*names.HEALTH_PATHS, names.METRICS_PATH)
    if unknown := paths.difference(known):
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))} is not one of {', '.join(known)}")
    return paths


def make_parser(component: str, description: str) -> argparse.ArgumentParser:
    """Return a parser with `--version`, `-v` and `--feature-gates`; flags may not be shortened.

    Args:
        component: name of the program, e.g. `clusternet-hub`.
        description: what it does, for `--help`.
    """
    parser = argparse.ArgumentParser(
        component, description=description, allow_abbrev=False, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"{component} {version()}")
    parser.add_argument(
        "-v", "--v", dest="verbosity", type=int, default=2, metavar="LEVEL", help="how much to log, from 0 to 10"
    )
    parser.add_argument(
        "--feature-gates",
        type=feature_gates,
        default={},
        metavar="GATE=BOOL,…",
        help=f"features to switch on or off, of: {', '.join(GATES)}; all are off by default",
    )
    return parser


def add_chart_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags about charts: the program, which Clusternet's own programs have built in, and where they are."""
    parser.add_argument(
        "--helm-binary",
        type=program,
        default="helm",
        metavar="PROGRAM",
        help="name or path of Helm 3, which installs charts",
    )
    parser.add_argument(
        REPOSITORY_FLAG,
        type=networks,
        default=(),
        metavar="CIDR,...",
        help="loopback, link-local and other special addresses at which chart repositories may be, too: IP addresses "
        "and CIDRs, each with an optional :PORT; all others are allowed anyway",
    )


def version() -> str:
    """Return the version of the engine."""
    return importlib.metadata.version("clusternet-engine")


@dataclass(frozen=True, slots=True)
class ClientFlags:
    """How to reach the cluster the program belongs to.

    `kubeconfig` None means `$KUBECONFIG`, else the Pod's ServiceAccount; `context` None means the current one.
    `qps` is requests a second on average, `burst` at once.
    """

    kubeconfig: Path | None
    context: str | None
    qps: float
    burst: int

    @staticmethod
    def add(parser: argparse.ArgumentParser, qps: float = 50.0, burst: int = 100) -> None:
        """Add the flags to a parser; `qps` and `burst` are the program's defaults."""
        group = parser.add_argument_group("cluster access")
        group.add_argument(
            "--kubeconfig",
            type=Path,
            metavar="FILE",
            help="kubeconfig file; default $KUBECONFIG, else the Pod's ServiceAccount",
        )
        group.add_argument("--context", metavar="NAME", help="context of the kubeconfig; default its current context")
        group.add_argument(
            "--kube-api-qps", type=positive_float, default=qps, metavar="N", help="requests a second to the API server"
        )
        group.add_argument(
            "--kube-api-burst", type=positive_int, default=burst, metavar="N", help="requests at once to the API server"
        )

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> ClientFlags:
        """Return the values of parsed arguments."""
        return cls(arguments.kubeconfig, arguments.context, arguments.kube_api_qps, arguments.kube_api_burst)


@dataclass(frozen=True, slots=True)
class ServingFlags:
    """Where health and metrics are served, and to whom.

    Port 0 means not at all, no certificate means a self-signed one; nobody has to authenticate for `always_allowed`.
    """

    bind_address: str
    secure_port: int
    tls_cert_file: Path | None
    tls_private_key_file: Path | None
    always_allowed: frozenset[str]

    @staticmethod
    def add(parser: argparse.ArgumentParser, secure_port: int, bind_address: str) -> None:
        """Add the flags to a parser; `secure_port` and `bind_address` are the program's defaults."""
        group = parser.add_argument_group("serving of health and metrics")
        group.add_argument("--bind-address", type=host, default=bind_address, metavar="IP", help="address to listen on")
        group.add_argument(
            "--secure-port",
            type=port,
            default=secure_port,
            metavar="PORT",
            help="HTTPS port to listen on; 0 switches serving off",
        )
        group.add_argument(
            "--tls-cert-file",
            type=Path,
            metavar="FILE",
            help="certificate to serve with; default a self-signed one in memory",
        )
        group.add_argument("--tls-private-key-file", type=Path, metavar="FILE", help="private key of --tls-cert-file")
        group.add_argument(
            "--authorization-always-allow-paths",
            type=health_paths,
            default=",".join(names.HEALTH_PATHS),
            metavar="PATH,…",
            help="of these and /metrics, what is answered without a token; for the others the cluster decides by "
            "TokenReview and SubjectAccessReview who may get them",
        )

    @classmethod
    def of(cls, arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> ServingFlags:
        """Return the values of parsed arguments; ends the program with a message if half of the TLS pair is missing."""
        cert, key = arguments.tls_cert_file, arguments.tls_private_key_file
        if (cert is None) != (key is None):
            parser.error("--tls-cert-file and --tls-private-key-file must be given together")
        always_allowed = arguments.authorization_always_allow_paths
        return cls(arguments.bind_address, arguments.secure_port, cert, key, always_allowed)


@dataclass(frozen=True, slots=True)
class LeaderElectionFlags:
    """The Lease by which one of several replicas leads; times in seconds.

    `namespace` doubles as the system namespace of the program (spec/05 §7.1).
    """

    enabled: bool
    lease_duration: float
    renew_deadline: float
    retry_period: float
    name: str
    namespace: str

    @staticmethod
    def add(parser: argparse.ArgumentParser, component: str) -> None:
        """Add the flags to a parser; the Lease is named after the component by default."""
        group = parser.add_argument_group("leader election")
        group.add_argument(
            "--leader-elect",
            type=boolean,
            nargs="?",
            const=True,
            default=True,
            metavar="BOOL",
            help="work only while holding the Lease",
        )
        for name, default, text in (
            ("lease-duration", "15s", "how long others wait for a leader that has fallen silent"),
            ("renew-deadline", "10s", "how long a leader tries to renew before it stops working"),
            ("retry-period", "2s", "pause between attempts to acquire or renew"),
        ):
            group.add_argument(
                f"--leader-elect-{name}", type=positive_duration, default=default, metavar="DURATION", help=text
            )
        group.add_argument("--leader-elect-resource-name", default=component, metavar="NAME", help="name of the Lease")
        group.add_argument(
            "--leader-elect-resource-namespace",
            type=namespace,
            default=names.SYSTEM_NAMESPACE,
            metavar="NAMESPACE",
            help="namespace of the Lease and of the program's own Secrets",
        )

    @classmethod
    def of(cls, arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> LeaderElectionFlags:
        """Return the values of parsed arguments; ends the program with a message if the times contradict each other."""
        flags = cls(
            arguments.leader_elect,
            arguments.leader_elect_lease_duration,
            arguments.leader_elect_renew_deadline,
            arguments.leader_elect_retry_period,
            arguments.leader_elect_resource_name,
            arguments.leader_elect_resource_namespace,
        )
        if not fit_together(flags.lease_duration, flags.renew_deadline, flags.retry_period):
            parser.error(
                "--leader-elect-lease-duration must be longer than --leader-elect-renew-deadline,"
                f" and that longer than {JITTER:g} times --leader-elect-retry-period"
            )
        return flags
