"""Why a connection to a VIP can fail: the causes that can be told apart. Pure."""

from __future__ import annotations

NO_ARP = "no ARP answer"
LEADER_GONE = "leader gone"
HOP_GONE = "next hop gone"
ENDPOINT_GONE = "endpoint gone"
NOT_BACK = "endpoint not back"
UNREACHABLE = "unreachable"
REFUSED = "refused"
REMEMBERED = "remembered"
UNKNOWN = "not known"
MEANING = {
    NO_ARP: "nobody answered when the client asked for the address by ARP",
    LEADER_GONE: "the client's packet went to a network card that is silent: the address has not moved yet",
    HOP_GONE: "the router's packet went to a network card that is silent: the route has not gone yet",
    ENDPOINT_GONE: "a living node took the packet and gave it to a Pod that is gone",
    NOT_BACK: "a living node took the packet for a Pod that is not ready again",
    UNREACHABLE: "somebody on the way said that there is no way",
    REFUSED: "the other side closed the connection",
    REMEMBERED: "conntrack remembered the client's port, and with it a Pod that is gone",
    UNKNOWN: "what was captured does not tell",
}
