"""The wire protocol between hub and agent (spec/04 §2, §3): frames, sessions, streams. Knows nothing of Kubernetes."""
