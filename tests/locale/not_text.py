"""What looks like a sentence in the code and is none, or is not ours to translate: by module, with the reason."""

from __future__ import annotations

# modules whose sentences are another program's, word for word: a learner finds them in its source, and in searches
WORDS_OF_OTHERS = {
    "the API server": (
        "k8s/field_errors.py", "k8s/labels.py", "k8s/schema.py", "k8s/service_validation.py",
        "k8s/workload_validation.py", "simulator/admission.py", "simulator/service_registry.py",
    ),
    "kind, kubeadm and kube-proxy, about their options": (
        "simulator/kind_configuration.py", "simulator/kube_proxy_options.py",
    ),
    "kubectl, and the programs whose output a simulation has": ("k8s/kubectl.py", "simulator/command_output.py"),
    "kube-proxy and its controller of endpoints": (
        "k8s/kubeproxy.py", "k8s/kubeproxy_nftables.py", "k8s/topology_hints.py", "simulator/endpoint_slices.py",
    ),
    "kube-scheduler": ("simulator/scheduler.py",),
    "MetalLB": (
        "metallb/allocation.py", "metallb/communities.py", "metallb/config.py", "metallb/expression_rules.py",
        "metallb/go_text.py", "metallb/memberlist.py", "metallb/native_mode.py", "metallb/peers.py",
        "metallb/ranges.py", "metallb/selectors.py", "metallb/webhook.py", "simulator/metallb.py",
        "simulator/session_log.py",
    ),
}  # fmt: skip

NOT_TEXT: dict[str, str] = {  # a pattern that each of these texts matches from its beginning to its end
    "actions.py": r".*",  # ACTIONS: `describe_done` translates them
    "exceptions.py": r"in line \{\}: \{\}",  # as Python writes it in a traceback
    "log.py": r".*",  # of the log, which is in English
    "palette.py": r"border-left:.*",  # CSS
    "analysis/leadership.py": r"MetalLB speaker starting",  # a log line
    "analysis/speaker_logs.py": r"MetalLB speaker starting|declares dead|lets go of|takes in",  # log lines; values
    "analysis/timeline_events.py": r"declares dead|lets go of|takes in",  # values
    "nftables/asked.py": r"tcp-option \{\}",  # names of subjects and objects
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
    "course/dumps/__init__.py": r"kube-proxy v.*, nft .*",  # versions
    "course/manifests/__init__.py": r"```yaml.*",
    "course/router.py": r".*",  # the configuration of a router
    "course/stories.py": r".*",  # titles of stories, as a recording has them
    "diagnosis/findings.py": r"[a-z]+ [a-z]+",  # ids of causes
    # keys of choices, which an expected answer names
    "exercises/catalog/ch02_metallb.py": r"other addresses|other leaders|by itself",
    "exercises/catalog/ch03_arp.py": r"for ever|a few",
    "exercises/catalog/ch04_iptables.py": r"passed on",
    "exercises/catalog/ch05_election.py": r"its own|all about",
    "exercises/catalog/ch06_failover.py": r"not ready|a minute|with lab\.observe.*",  # and code
    "exercises/catalog/ch07_bgp.py": r"at once|not ready",
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
    "iptables/syntax.py": r"\n.*",  # options
    "iptables/tracer.py": r"device \{\}",  # the name of a subject
    "iptables/targets.py": r"queue \{\}",
    "k8s/refusals.py": r"metallb webhook|\{\} \{\} is invalid: \{\}",  # a component; the API server's words
    "lab/traffic.py": r"docker ps.*",
    "metallb/bgp_sessions.py": r".*",  # values of SessionProblem, which say what its names mean
    "nftables/changed_sets.py": r"recent \{\}",  # the name of a subject
    "nftables/compiler.py": r"(\{\} )?map \{\}",  # a key; as nft writes it
    "nftables/diff.py": r"(\{\} ){2}priority \{\}, policy \{\}",  # as nft writes it
    "nftables/element_statements.py": r" used \{\}",
    "nftables/expressions.py": r" level \{\}",
    "nftables/fast_rule.py": r".*",  # patterns of rules
    "nftables/json_reader.py": r" used \{\}|ct \w+|(spnum|ttl|tunnel) \{\}",
    "nftables/names.py": r".*",  # names of fields
    "nftables/parser.py": r"ct \w+|chain, set, map, \{\}",
    "nftables/selectors.py": r"th (\{\} ?){2}\{\}|ctstatus \{\}",  # as nft writes it; the name of a subject
    "nftables/statement_actions.py": r"ct helper|zone \{\}|(meta|ct) mark|(limit rate|quota) \{\}.*|"
    r"(ct count|queue|xt match|(xt|elements) \{\}|\{\} to) \{\}",
    "nftables/statements.py": r"ct \{\}|tcp reset",
    "nftables/syntax.py": r".*",  # expressions, as nft writes them
    "packets/arp.py": r"(reverse|dynamic|inverse) .*|operation .*|\{\} is-at.*|who-has .*",  # as tcpdump writes them
    # names that IANA gave, as Wireshark shows them
    "packets/bgp.py": r"(labeled|link|route|flow|extended|graceful|long-lived|enhanced|add|host|software) .*|"
    r"(SR|BGP|4-octet) .*|multicast (in )?VPN",
    # names of link types; values of LinkAddresses
    "packets/ethernet.py": r"(token|Cisco|OpenBSD|802.11|Linux|raw|BSD) .*|the source only|source and destination",
    "recording/format.py": r"Unix seconds",  # of the JSON Schema
    "recording/raw/convert.py": r".*",  # titles and notes that a recording keeps
    "recording/schema.py": r"Recording format.*",
    "render/figure/figure.py": r"of the reader",  # values
    "render/interactive.py": r"a plotly figure",  # what Python prints for it
    "render/rows.py": r"the (sum|largest number) of its column",  # values
    "render/tables.py": r"\{\} kans-bar",
    "render/time_machine_widget.py": r"row wrap",
    "simulator/judgement.py": r"admission webhook .*|metallb .*",  # the API server's words; components
    "simulator/network.py": r"curl exit \{\}|(Hostname|RemoteAddr): \{\}|\{\} probes \{\} \{\}",  # outputs; a key
    "simulator/simulator.py": r"\{\} (unchanged|not found)",  # kubectl's words
    "site/builder.py": r"kanslib contributors",
    "site/gallery.py": r"```\{raw\} html.*",  # markup
    "site/page_data.py": r"%load_ext .*",
    "site/queries.py": r"lab\.curl.*",
    "site/source.py": r"```\{raw\} html|:caption: .*",  # markup
    "site/styles.py": r"a style sheet has a fault .*",  # an error of whoever changes a style
    "site/verdicts.py": r"\{\}: a page offers .*",  # an error of whoever writes an exercise
}
