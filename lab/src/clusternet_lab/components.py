"""The command lines of a cluster's components. Nothing here touches the machine."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clusternet_lab.pki import SERVICE_ADDRESS

STORAGE = ("etcd", "kube-apiserver")
CONTROL = ("kube-controller-manager", "kube-scheduler")
NODES = "kwok"
PORTS = ("etcd", "etcd-peer", "kube-apiserver", "engine")
SERVICE_RANGE = SERVICE_ADDRESS.rsplit(".", 2)[0] + ".0.0/16"


@dataclass(frozen=True)
class Layout:
    """Where the files of one cluster are and which ports it has (by the names of `PORTS`)."""

    name: str
    folder: Path
    ports: Mapping[str, int]
    audit: bool

    @property
    def pki(self) -> Path:
        """The folder of keys and certificates."""
        return self.folder / "pki"

    @property
    def audit_log(self) -> Path:
        """One JSON line for each request the API server answered, if the lab was made with ``audit``."""
        return self.folder / "audit.log"

    @property
    def audit_policy(self) -> Path:
        """The audit policy file."""
        return self.folder / "audit-policy.yaml"

    @property
    def stages(self) -> Path:
        """The KWOK configuration: how simulated nodes and pods behave."""
        return self.folder / "stages.yaml"

    def kubeconfig(self, client: str) -> Path:
        """The kubeconfig file of ``admin`` or of a component."""
        return self.folder / f"{client}.kubeconfig"

    def log(self, component: str) -> Path:
        """The file with a component's output."""
        return self.folder / f"{component}.log"

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return f"https://127.0.0.1:{self.ports['kube-apiserver']}"


def arguments(component: str, layout: Layout) -> list[str]:
    """Return the command line of ``component``, its name first.

    The flags that look unusual are what a control plane on loopback needs: no endpoint reconciler (the API server
    refuses to publish a loopback address), aggregator routing off (an aggregated API server is reached as the Service's
    ExternalName ``localhost``), no leader election, a quick controller manager (its default request rate delays the
    first ServiceAccount by seconds), and an etcd that elects its only member at once and never waits for the disk.
    """
    pki, ports = layout.pki, layout.ports
    match component:
        case "etcd":
            client_url, peer_url = (f"https://127.0.0.1:{ports[name]}" for name in ("etcd", "etcd-peer"))
            options = {
                "name": layout.name,
                "data-dir": layout.folder / "etcd",
                "listen-client-urls": client_url,
                "advertise-client-urls": client_url,
                "listen-peer-urls": peer_url,
                "initial-advertise-peer-urls": peer_url,
                "initial-cluster": f"{layout.name}={peer_url}",
                "client-cert-auth": "true",
                "trusted-ca-file": pki / "etcd-ca.crt",
                "cert-file": pki / "etcd.crt",
                "key-file": pki / "etcd.key",
                "peer-client-cert-auth": "true",
                "peer-trusted-ca-file": pki / "etcd-ca.crt",
                "peer-cert-file": pki / "etcd.crt",
                "peer-key-file": pki / "etcd.key",
                "unsafe-no-fsync": "true",
                "heartbeat-interval": 20,
                "election-timeout": 100,
                "log-level": "warn",
            }
        case "kube-apiserver":
            options = {
                "bind-address": "127.0.0.1",
                "secure-port": ports["kube-apiserver"],
                "tls-cert-file": pki / "kube-apiserver.crt",
                "tls-private-key-file": pki / "kube-apiserver.key",
                "client-ca-file": pki / "ca.crt",
                "etcd-servers": f"https://127.0.0.1:{ports['etcd']}",
                "etcd-cafile": pki / "etcd-ca.crt",
                "etcd-certfile": pki / "etcd-client.crt",
                "etcd-keyfile": pki / "etcd-client.key",
                "service-cluster-ip-range": SERVICE_RANGE,
                "service-account-issuer": "https://kubernetes.default.svc",
                "service-account-key-file": pki / "service-account.pub",
                "service-account-signing-key-file": pki / "service-account.key",
                "authorization-mode": "RBAC",
                "enable-bootstrap-token-auth": "true",
                "advertise-address": "127.0.0.1",
                "endpoint-reconciler-type": "none",
                "enable-aggregator-routing": "false",
                "requestheader-client-ca-file": pki / "front-proxy-ca.crt",
                "requestheader-allowed-names": "front-proxy-client",
                "requestheader-username-headers": "X-Remote-User",
                "requestheader-group-headers": "X-Remote-Group",
                "requestheader-extra-headers-prefix": "X-Remote-Extra-",
                "proxy-client-cert-file": pki / "front-proxy-client.crt",
                "proxy-client-key-file": pki / "front-proxy-client.key",
                "allow-privileged": "true",
                "profiling": "false",
            }
            if layout.audit:
                options |= {
                    "audit-policy-file": layout.audit_policy,
                    "audit-log-path": layout.audit_log,
                    "audit-log-maxsize": 10_000,  # MB; readers follow one file
                }
        case "kube-controller-manager":
            options = {
                "kubeconfig": layout.kubeconfig(component),
                "secure-port": 0,
                "leader-elect": "false",
                "controllers": "*,bootstrap-signer-controller,token-cleaner-controller",
                "kube-api-qps": 300,
                "kube-api-burst": 600,
                "root-ca-file": pki / "ca.crt",
                "service-account-private-key-file": pki / "service-account.key",
                "cluster-signing-cert-file": pki / "ca.crt",
                "cluster-signing-key-file": pki / "ca.key",
                "profiling": "false",
            }
        case "kube-scheduler":
            options = {
                "kubeconfig": layout.kubeconfig(component),
                "secure-port": 0,
                "leader-elect": "false",
                "profiling": "false",
            }
        case "kwok":
            options = {
                "kubeconfig": layout.kubeconfig(component),
                "config": layout.stages,
                "manage-all-nodes": "true",
                "node-lease-duration-seconds": 40,
            }
        case _:
            raise ValueError(component)
    return [component, *(f"--{flag}={value}" for flag, value in options.items())]
