"""Kubeconfig files that carry everything they need."""

from base64 import b64encode
from pathlib import Path

import yaml

from clusternet_lab.files import write_private


def write(path: Path, *, cluster: str, server: str, pki: Path, client: str) -> None:
    """Write a kubeconfig (mode 0600) for the certificate ``client`` of the folder ``pki``; context = ``cluster``."""

    def encoded(file: str) -> str:
        return b64encode((pki / file).read_bytes()).decode()

    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": cluster, "cluster": {"server": server, "certificate-authority-data": encoded("ca.crt")}},
        ],
        "users": [
            {
                "name": client,
                "user": {
                    "client-certificate-data": encoded(f"{client}.crt"),
                    "client-key-data": encoded(f"{client}.key"),
                },
            },
        ],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": client}}],
        "current-context": cluster,
    }
    write_private(path, yaml.safe_dump(config, sort_keys=False))
