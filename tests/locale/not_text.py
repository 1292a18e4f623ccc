"""What looks like a sentence in the code and is none, or is not ours to translate: by module, with the reason."""

from __future__ import annotations

# rooms whose texts go through the catalogues, as patterns of paths below src/kanslib
MARKED = (
    "*.py", "analysis/*.py", "backends/*.py", "cli/*.py", "cluster/*.py", "comparison/*.py", "course/**/*.py",
    "diagnosis/*.py", "exercises/*.py", "iptables/*.py", "k8s/manifest.py", "lab/*.py", "nftables/*.py",
    "packets/arp.py", "packets/bgp_fsm.py", "recording/**/*.py", "render/**/*.py", "simulator/chance.py",
    "simulator/network.py",
)  # fmt: skip

NOT_TEXT: dict[str, str] = {  # a pattern that each of these texts matches from its beginning to its end
    "actions.py": r".*",  # ACTIONS: `describe_done` translates them
    "exceptions.py": r"in line \{\}: \{\}",  # as Python writes it in a traceback
    "log.py": r".*",  # of the log, which is in English
    "palette.py": r"border-left:.*",  # CSS
    "analysis/leadership.py": r"MetalLB speaker starting",  # a log line
    "analysis/speaker_logs.py": r"MetalLB speaker starting|declares dead|lets go of|takes in",  # log lines; values
    "analysis/timeline_events.py": r"declares dead|lets go of|takes in",  # values
    "backends/live.py": r"(Kubernetes|MetalLB) \{\}|arp-scan .*|tcp port \{\}",  # versions; commands
    "backends/recorded.py": r"curl exit 7\n",  # what a command wrote
    "cli/app.py": r".*",  # help texts: `help_texts.translate`
    "cli/challenge.py": r"kubectl get .*|docker ps|[a-z]+ SERVICE",  # commands
    "cli/doctor.py": r"falls back|kans \w+|sudo sysctl .*",  # values of a check; commands
    "cli/record.py": r"bold red|The course, recorded by itself",  # a style; the title of a recording
    "cli/run.py": r"\ntry:.*|from kanslib.*|bold red",  # code; a style
    "cli/site.py": r"from kanslib import i18n.*",  # code
    "cli/terminal.py": r"bold red",
    "cli/trace.py": r"nft list ruleset",
    "cli/unsupported.py": r"a BGP router|ARP scans",  # values
    "cli/up.py": r"kans .*",
    "cluster/api.py": r"%s are not watched.*",  # a log record
    "cluster/actions.py": r"ip route .*",
    "cluster/captures.py": r"arp or icmp.*|\{\} & cat.*",  # a filter; commands
    "cluster/probes.py": r"\nwhile.*|for i in.*",
    "cluster/reconciler.py": r"kubectl .*",
    "cluster/session.py": r"(sysctl|show|docker|kubectl) .*|.*2>/dev/null.*",
    "comparison/facts.py": r".*",  # names of rules as two recordings are compared by them
    "course/chapters.py": r"yours kept|new edition beside yours",  # values
    "course/manifests/__init__.py": r"```yaml.*",
    "course/router.py": r".*",  # the configuration of a router
    "course/stories.py": r".*",  # titles of stories, as a recording has them
    "diagnosis/findings.py": r"[a-z]+ [a-z]+",  # ids of causes
    "exercises/exercise.py": r"your answer|not tried|right after help",  # values that are stored
    "exercises/forms.py": r"row wrap|6px solid \{\}",  # CSS
    "exercises/messages.py": r".*",  # comments for translators
    "exercises/session.py": r"\{\}\n→ \.check\(.*",  # code
    "iptables/compiled.py": r"network (src|dst)|set \{\}",  # names of subjects
    "iptables/effects.py": r"tcp-option \{\}",
    "iptables/fast_rule.py": r".*",  # patterns of rules
    "iptables/match_types.py": r"(network|nat|set|connlabel|recent) \{\}",
    "iptables/matches.py": r"(tcp-option|connbytes|connlimit|owner) \{\}",
    "iptables/names.py": r"\n.*",  # names of protocols
    "iptables/packet_state.py": r"the new ",  # a part of English
    "iptables/syntax.py": r"\n.*",  # options
    "iptables/targets.py": r"queue \{\}",
    "lab/traffic.py": r"docker ps.*",
    "nftables/compiler.py": r"map \{\}",  # a key
    "nftables/diff.py": r"(\{\} ){2}priority \{\}, policy \{\}",  # as nft writes it
    "nftables/element_statements.py": r" used \{\}",
    "nftables/expressions.py": r" level \{\}",
    "nftables/fast_rule.py": r".*",  # patterns of rules
    "nftables/json_reader.py": r" used \{\}|ct \w+|(spnum|ttl|tunnel) \{\}",
    "nftables/names.py": r".*",  # names of fields
    "nftables/parser.py": r"ct \w+|chain, set, map, \{\}",
    "nftables/statement_actions.py": r"(ct count|queue|recent|xt match|xt \{\}|\{\} to) \{\}|(limit rate|quota) \{\}.*",
    "nftables/statements.py": r"ct \{\}|tcp reset",
    "nftables/syntax.py": r".*",  # expressions, as nft writes them
    "packets/arp.py": r"(reverse|dynamic|inverse) .*|operation .*|\{\} is-at.*|who-has .*",  # as tcpdump writes them
    "recording/format.py": r"Unix seconds",  # of the JSON Schema
    "recording/raw/convert.py": r".*",  # titles and notes that a recording keeps
    "recording/schema.py": r"Recording format.*",
    "render/figure/figure.py": r"of the reader",  # values
    "render/interactive.py": r"a plotly figure",  # what Python prints for it
    "render/rows.py": r"the (sum|largest number) of its column",  # values
    "render/tables.py": r"\{\} kans-bar",
    "render/time_machine_widget.py": r"row wrap",
    "simulator/network.py": r"curl exit \{\}|(Hostname|RemoteAddr): \{\}|\{\} probes \{\} \{\}",  # outputs; a key
}
