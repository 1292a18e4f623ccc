"""What is wrong with a cluster when a VIP does not work, and the facts that prove it. Pure."""

from __future__ import annotations

from kanslib.diagnosis.findings import CAUSES, ClusterSnapshot, Finding, Problem, find

__all__ = ["CAUSES", "ClusterSnapshot", "Finding", "Problem", "find"]
