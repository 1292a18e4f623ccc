"""The names of nftables: fields of headers, keys of meta, hooks, priorities (nft(8), src/proto.c, src/meta.c)."""

from __future__ import annotations

import re

HEADER_FIELDS: dict[str, frozenset[str]] = {
    name: frozenset(fields.split())
    for name, fields in {
        "ether": "daddr saddr type",
        "vlan": "id dei cfi pcp type",
        "arp": "htype ptype hlen plen operation",
        "ip": "version hdrlength dscp ecn length id frag-off ttl protocol checksum saddr daddr",
        "ip6": "version dscp ecn flowlabel length nexthdr hoplimit saddr daddr",
        "icmp": "type code checksum id sequence gateway mtu",
        "icmpv6": "type code checksum parameter-problem packet-too-big mtu id sequence max-delay taddr daddr",
        "igmp": "type mrt checksum group",
        "tcp": "sport dport sequence ackseq doff reserved flags window checksum urgptr",
        "udp": "sport dport length checksum",
        "udplite": "sport dport csumcov checksum",
        "sctp": "sport dport vtag checksum",
        "dccp": "sport dport type",
        "th": "sport dport",
        "esp": "spi sequence",
        "ah": "nexthdr hdrlength reserved spi sequence",
        "comp": "nexthdr flags cpi",
        "gre": "flags version protocol",
        "vxlan": "flags vni",
        "geneve": "vni type",
    }.items()
}
# extension headers of IPv6, and their fields
OPTION_HEADERS: dict[str, frozenset[str]] = {
    name: frozenset(["exists", "missing", *fields.split()])
    for name, fields in {
        "exthdr": "hbh dst rt rt0 rt2 rt4 srh frag mh",
        "hbh": "nexthdr hdrlength",
        "frag": "nexthdr reserved frag-off reserved2 more-fragments id",
        "dst": "nexthdr hdrlength",
        "mh": "nexthdr hdrlength type reserved checksum",
        "rt": "nexthdr hdrlength type seg-left", "rt0": "addr", "rt2": "addr", "srh": "flags last-entry sid tag",
    }.items()
}  # fmt: skip
# fields of options and of the chunks of SCTP (src/tcpopt.c, src/ipopt.c, src/sctp_chunk.c)
OPTION_FIELDS = frozenset(
    word
    for words in (
        "kind length size count left right tsval tsecr ptr value addr type flags subtype",
        "stream ssn ppid seqno tsn initial-tsn init-tag a-rwnd num-outbound-streams num-inbound-streams",
        "cum-tsn-ack num-gap-ack-blocks num-dup-tsns lowest-tsn new-cum-tsn",
    )
    for word in words.split()
)
# tunnels whose packets rules can look into (src/proto.c)
TUNNELS = frozenset(("vxlan", "geneve", "gre", "gretap"))
# what the kernel knows of a packet and a trace does not (src/osf.c, src/xfrm.c, src/tunnel.c, the addresses of ARP)
KERNEL_FACTS = {
    "ipsec": re.compile(r"ipsec (?:in|out) (?:spnum \d+ )?(?:reqid|spi|ip6? [sd]addr)"),
    "osf": re.compile(r"osf (?:ttl (?:loose|skip) )?(?:name|version)"),
    "tunnel": re.compile(r"tunnel (?:path|id)"),
    "arp": re.compile(r"arp [sd]addr (?:ip|ether)"),
    "srh": re.compile(r"srh sid\[\d+\]"),
}
META_KEYS = frozenset(
    [
        "length",
        "protocol",
        "priority",
        "mark",
        "iif",
        "iifname",
        "iiftype",
        "oif",
        "oifname",
        "oiftype",
        "skuid",
        "skgid",
        "nftrace",
        "rtclassid",
        "ibrname",
        "obrname",
        "pkttype",
        "cpu",
        "iifgroup",
        "oifgroup",
        "cgroup",
        "random",
        "secpath",
        "ibrpvid",
        "ibrvproto",
        "iifkind",
        "oifkind",
        "time",
        "day",
        "hour",
        "sdif",
        "sdifname",
        "nfproto",
        "l4proto",
        "broute",
    ]
)
# symbols that are bits: a comparison without an operator asks for any of them
BIT_FIELDS = frozenset((("ct", "state"), ("ct", "status"), ("tcp", "flags"), ("ct", "event"), ("ct", "label")))
# names of priorities, by family (nft(8), src/rule.c std_prio_lookup)
PRIORITIES = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100}
BRIDGE_PRIORITIES = {"dstnat": -300, "filter": -200, "out": 100, "srcnat": 300}
