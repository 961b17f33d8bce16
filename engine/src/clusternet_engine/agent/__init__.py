"""The agent of a child cluster: registration, credentials, status and heartbeat (spec/02 §3–§8)."""
