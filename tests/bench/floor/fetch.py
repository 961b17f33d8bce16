"""The least that listing ManagedClusters can cost: pages of 500 objects, decoded, managedFields dropped.

Usage: fetch.py SERVER CA CERTIFICATE KEY FLEET
"""

import json
import sys

import urllib3


def main(server: str, ca: str, certificate: str, key: str, fleet: str) -> None:
    pool = urllib3.PoolManager(ca_certs=ca, cert_file=certificate, key_file=key)
    url = f"{server}/apis/clusters.clusternet.io/v1beta1/managedclusters"
    clusters, query = [], {"limit": "500", "labelSelector": f"bench={fleet}"}
    while True:
        page = json.loads(pool.request("GET", url, fields=query).data)
        for cluster in page["items"]:
            del cluster["metadata"]["managedFields"]
        clusters += page["items"]
        if not (token := page["metadata"].get("continue")):
            break
        query["continue"] = token
    print(len(clusters))


main(*sys.argv[1:])
