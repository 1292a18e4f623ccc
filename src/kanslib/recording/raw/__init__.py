"""TODO raw."""
