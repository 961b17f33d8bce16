"""The hub as an aggregated API server: who asks, may they, and the API groups that answer."""
