"""A local way to the children of a parent, for programs that can't impersonate (spec/04 §5–§7)."""
