"""iptables-save text, read and written back; no kernel, no root."""

from kanslib.iptables.dump import Chain, Rule, Ruleset, parse

__all__ = ["Chain", "Rule", "Ruleset", "parse"]
