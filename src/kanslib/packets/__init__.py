"""Bytes in, frames out. Nothing here imports more than the standard library."""
