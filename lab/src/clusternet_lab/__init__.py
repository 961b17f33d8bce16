"""Real Kubernetes control planes as plain processes on one machine: a parent cluster and its children."""

from clusternet_lab.cluster import Cluster
from clusternet_lab.errors import LabError
from clusternet_lab.lab import Lab, labs

__all__ = ["Cluster", "Lab", "LabError", "labs"]
