"""Puts objects and Helm releases on one cluster; used by the hub (push) and the agent (pull)."""
