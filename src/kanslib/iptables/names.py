"""Names of protocols, ports, TCP flags and ICMP types, as iptables resolves them (/etc/protocols, /etc/services).

Protocols: IANA's registry with the aliases of Debian's and Red Hat's /etc/protocols. Ports: the services of firewalls.
"""

from __future__ import annotations

from functools import reduce
from operator import or_

from kanslib.i18n import tr

_PROTOCOLS = """
0 all ip hopopt
1 icmp
2 igmp
3 ggp
4 ipencap ipv4 ip-encap
5 st st2
6 tcp
7 cbt
8 egp
9 igp
10 bbn-rcc bbn-rcc-mon
11 nvp nvp-ii
12 pup
13 argus
14 emcon
15 xnet
16 chaos
17 udp
18 mux
19 dcn dcn-meas
20 hmp
21 prm
22 xns-idp
23 trunk-1
24 trunk-2
25 leaf-1
26 leaf-2
27 rdp
28 irtp
29 iso-tp4
30 netblt
31 mfe-nsp
32 merit-inp
33 dccp
34 3pc
35 idpr
36 xtp
37 ddp
38 idpr-cmtp
39 tp++
40 il
41 ipv6
42 sdrp
43 ipv6-route
44 ipv6-frag
45 idrp
46 rsvp
47 gre
48 dsr
49 bna
50 esp ipsec-esp ipv6-crypt
51 ah ipsec-ah ipv6-auth
52 i-nlsp
53 swipe
54 narp
55 mobile min-ipv4
56 tlsp
57 skip
58 ipv6-icmp icmpv6
59 ipv6-nonxt
60 ipv6-opts
62 cftp
64 sat-expak
65 kryptolan
66 rvd
67 ippc
69 sat-mon
70 visa
71 ipcv
72 cpnx
73 rspf cphb
74 wsn
75 pvp
76 br-sat-mon
77 sun-nd
78 wb-mon
79 wb-expak
80 iso-ip
81 vmtp
82 secure-vmtp
83 vines
84 ttp iptm
85 nsfnet-igp
86 dgp
87 tcf
88 eigrp
89 ospf ospfigp
90 sprite-rpc
91 larp
92 mtp
93 ax.25
94 ipip
95 micp
96 scc-sp
97 etherip
98 encap
100 gmtp
101 ifmp
102 pnni
103 pim
104 aris
105 scps
106 qnx
107 a/n
108 ipcomp
109 snp
110 compaq-peer
111 ipx-in-ip
112 vrrp carp
113 pgm
115 l2tp
116 ddx
117 iatp
118 stp
119 srp
120 uti
121 smp
122 sm
123 ptp
124 isis
125 fire
126 crtp
127 crudp crdup
128 sscopmce
129 iplt
130 sps
131 pipe
132 sctp
133 fc
134 rsvp-e2e-ignore
135 mobility-header ipv6-mh mh
136 udplite
137 mpls-in-ip
138 manet
139 hip
140 shim6
141 wesp
142 rohc
143 ethernet
144 aggfrag
145 nsh
"""

_PORTS = """
7 echo
9 discard sink
13 daytime
20 ftp-data
21 ftp
22 ssh
23 telnet
25 smtp mail
37 time
43 whois nicname
49 tacacs
53 domain
67 bootps
68 bootpc
69 tftp
79 finger
80 http www
88 kerberos kerberos5 krb5 kerberos-sec
110 pop3 pop-3
111 sunrpc portmapper rpcbind
113 auth ident
119 nntp
123 ntp
135 epmap loc-srv
137 netbios-ns
138 netbios-dgm
139 netbios-ssn
143 imap imap2
161 snmp
162 snmptrap snmp-trap
177 xdmcp
179 bgp
389 ldap
443 https
445 microsoft-ds
464 kpasswd
465 submissions smtps
500 isakmp
512 exec
513 login
514 syslog shell
515 printer
520 route router
546 dhcpv6-client
547 dhcpv6-server
548 afpovertcp
554 rtsp
587 submission
631 ipp
636 ldaps
646 ldp
749 kerberos-adm
853 domain-s
873 rsync
989 ftps-data
990 ftps
992 telnets
993 imaps
995 pop3s
1080 socks
1194 openvpn
1433 ms-sql-s
1434 ms-sql-m
1645 datametrics
1646 sa-msg-port
1701 l2tp l2f
1723 pptp
1812 radius
1813 radius-acct
1900 ssdp
2049 nfs
2401 cvspserver
3128 squid
3130 icpv2
3260 iscsi-target
3306 mysql
3389 ms-wbt-server
3493 nut
3690 svn
4369 epmd
4500 ipsec-nat-t
5060 sip
5061 sip-tls
5222 xmpp-client
5269 xmpp-server
5353 mdns
5432 postgresql postgres
5671 amqps
5672 amqp
5900 vnc-server
6000 x11
6379 redis
6443 sun-sr-https
8080 http-alt webcache
8443 pcsync-https
9090 websm
9100 jetdirect
10050 zabbix-agent
10051 zabbix-trapper
11211 memcache memcached
"""


TCP_FLAGS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32, "ECE": 64, "CWR": 128, "ALL": 63, "NONE": 0}
_ICMP = """
255 any
0 echo-reply pong
3 destination-unreachable
3/0 network-unreachable
3/1 host-unreachable
3/2 protocol-unreachable
3/3 port-unreachable
3/4 fragmentation-needed
3/5 source-route-failed
3/6 network-unknown
3/7 host-unknown
3/9 network-prohibited
3/10 host-prohibited
3/11 tos-network-unreachable
3/12 tos-host-unreachable
3/13 communication-prohibited
3/14 host-precedence-violation
3/15 precedence-cutoff
4 source-quench
5 redirect
5/0 network-redirect
5/1 host-redirect
5/2 tos-network-redirect
5/3 tos-host-redirect
8 echo-request ping
9 router-advertisement
10 router-solicitation
11 time-exceeded ttl-exceeded
11/0 ttl-zero-during-transit
11/1 ttl-zero-during-reassembly
12 parameter-problem
12/0 ip-header-bad
12/1 required-option-missing
13 timestamp-request
14 timestamp-reply
17 address-mask-request
18 address-mask-reply
"""

_ICMPV6 = """
1 destination-unreachable
1/0 no-route
1/1 communication-prohibited
1/2 beyond-scope
1/3 address-unreachable
1/4 port-unreachable
1/5 failed-policy
1/6 reject-route
2 packet-too-big
3 time-exceeded ttl-exceeded
3/0 ttl-zero-during-transit
3/1 ttl-zero-during-reassembly
4 parameter-problem
4/0 bad-header
4/1 unknown-header-type
4/2 unknown-option
128 echo-request ping
129 echo-reply
130 mld-listener-query
131 mld-listener-report
132 mld-listener-done mld-listener-reduction
133 router-solicitation
134 router-advertisement
135 neighbour-solicitation neighbor-solicitation
136 neighbour-advertisement neighbor-advertisement
137 redirect
"""


def _texts(table: str) -> dict[str, str]:
    return {name: number for number, *names in map(str.split, table.strip().splitlines()) for name in names}


PROTOCOLS = {name: int(number) for name, number in _texts(_PROTOCOLS).items()}
PORTS = {name: int(number) for name, number in _texts(_PORTS).items()}
_ICMP_TYPES = _texts(_ICMP)
ICMPV6_TYPES = _texts(_ICMPV6)


def port_number(text: str) -> int:
    """Return a port by its name or number. ValueError for a name that is in no table."""
    return PORTS[text] if text in PORTS else int(text)


def tcp_flags(text: str) -> int:
    """Return TCP flags by name as bits: `SYN,ACK` is 18. ValueError for an unknown name."""
    try:
        return reduce(or_, (TCP_FLAGS[name] for name in text.upper().split(",") if name), 0)
    except KeyError as exc:
        raise ValueError(tr("no TCP flag {exc}", exc=exc)) from None


def icmp(text: str, names: dict[str, str] | None = None) -> tuple[int, int]:
    """Return the range of type·256+code for an ICMP type such as `8`, `3/4`, `3/0:4`, `echo-request`.

    `names` are those of the family, of ICMP by default. ValueError for an unknown type.
    """
    kind, slash, codes = (names or _ICMP_TYPES).get(text.lower(), text).partition("/")
    first, _, last = (codes if slash else "0:255").partition(":")
    low, high = int(first), int(last or first)
    if not 0 <= int(kind) < 256 or not 0 <= low <= high < 256:
        raise ValueError(tr("no ICMP type {text!r}", text=text))
    if kind == "255" and (low, high) == (0, 255) and names is not ICMPV6_TYPES:
        return 0, 65535  # any
    return int(kind) << 8 | low, int(kind) << 8 | high
