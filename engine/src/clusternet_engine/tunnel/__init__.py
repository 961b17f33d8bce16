"""The wire protocol of hubs and agents (spec/04 §2, §3): frames, sessions, streams. Knows nothing of Kubernetes."""
