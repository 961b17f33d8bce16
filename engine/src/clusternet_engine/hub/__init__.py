"""The hub on the parent cluster: approves registrations and watches over the clusters (spec/02 §6, §9)."""
