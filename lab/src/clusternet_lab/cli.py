"""The command line ``python -m clusternet_lab``."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import NoReturn

import yaml

from clusternet_lab import programs, report
from clusternet_lab.errors import LabError
from clusternet_lab.inventory import inventory
from clusternet_lab.lab import DEFAULT_CHILDREN, DEFAULT_NAME, Lab, labs
from clusternet_lab.progress import Bars, Lines, Progress


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 with one line on standard error, or 130 when interrupted."""
    options = _parser().parse_args(argv)
    for number in (signal.SIGINT, signal.SIGTERM):  # SIGINT too: a shell's background job begins with it ignored
        signal.signal(number, _interrupt)
    try:
        with Bars() if sys.stderr.isatty() and options.command in ("up", "build") else nullcontext(Lines()) as progress:
            return _run(options, progress)
    except LabError as error:
        print(f"clusternet-lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("clusternet-lab: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="clusternet-lab",
        description="Real Kubernetes control planes as plain processes on this machine: a parent and its children.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        if name not in ("list", "build"):
            added.add_argument("--name", default=DEFAULT_NAME, help="the lab (default: %(default)s)")
        return added

    up = command("up", "Make a lab, or repair and grow the existing one, and wait until it is ready.")
    up.add_argument("--children", type=_count(1), help=f"child clusters (a new lab's default: {DEFAULT_CHILDREN})")
    up.add_argument("--nodes", type=_count(0), help="simulated nodes in each cluster (a new lab's default: 0)")
    up.add_argument("--audit", action="store_true", help="log every request to audit.log in the cluster's folder")
    command("status", "Show the components of a lab; exits 1 unless all are running and ready.")
    command("kubeconfig", "Print the path of a cluster's kubeconfig.").add_argument("cluster", help="parent, child1 …")
    kubectl = command("kubectl", "Run kubectl as a cluster's administrator.")
    kubectl.add_argument("cluster", help="parent, child1 …")
    kubectl.add_argument("arguments", nargs=argparse.REMAINDER, help="kubectl's own arguments")
    for name, text in (("restart", "End a component and start it again."), ("kill", "Kill a component (-9).")):
        changing = command(name, text)
        changing.add_argument("cluster", help="parent, child1 …")
        changing.add_argument("component", help="etcd, kube-apiserver, kube-controller-manager, kube-scheduler or kwok")
    command("inventory", "Print an Ansible inventory of a lab.")
    command("down", "End every process of a lab and remove its folder.")
    command("list", "List the labs.")
    build = command("build", "Only build the programs the labs run.")
    build.add_argument("--helm", action="store_true", help="also Helm, which hubs and agents run to install charts")
    return parser


def _count(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"a whole number from {least} on is needed, not {text!r}")
        return int(text)

    return parse


def _run(options: argparse.Namespace, progress: Progress) -> int:
    match options.command:
        case "build":
            programs.ensure(nodes=True, helm=options.helm, progress=progress)
            if options.helm:
                print(programs.HELM.path)
            return 0
        case "list":
            report.show(report.labs_table(labs()))
            return 0
        case "up":
            lab = Lab.up(
                options.name, children=options.children, nodes=options.nodes, audit=options.audit, progress=progress
            )
            report.show(report.clusters_table(lab))
            return 0
    lab = Lab.open(options.name)
    match options.command:
        case "status":
            status = report.status(lab)
            report.show(report.status_table(status))
            return 0 if all(row.state == report.RUNNING for row in status) else 1
        case "kubeconfig":
            print(lab.cluster(options.cluster).kubeconfig)
        case "kubectl":
            environment = {**os.environ, "KUBECONFIG": str(lab.cluster(options.cluster).kubeconfig)}
            sys.stdout.flush()
            os.execve(programs.paths()["kubectl"], ["kubectl", *options.arguments], environment)  # noqa: S606
        case "restart":
            lab.restart(options.cluster, options.component)
        case "kill":
            lab.kill(options.cluster, options.component)
        case "inventory":
            yaml.safe_dump(inventory(lab), sys.stdout, sort_keys=False)
        case "down":
            lab.down()
    return 0
