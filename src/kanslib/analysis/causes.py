"""Why a connection to a VIP can fail: the causes that can be told apart. Pure."""

from __future__ import annotations

# nobody answered when the client asked for the address by ARP
NO_ARP = "no ARP answer"
# the client's packet went to a network card that is silent: the address has not moved yet
LEADER_GONE = "leader gone"
# the router's packet went to a network card that is silent: the route has not gone yet
HOP_GONE = "next hop gone"
# a living node took the packet and gave it to a Pod that is gone
ENDPOINT_GONE = "endpoint gone"
# a living node took the packet for a Pod that is not ready again
NOT_BACK = "endpoint not back"
# somebody on the way said that there is no way
UNREACHABLE = "unreachable"
# the other side closed the connection
REFUSED = "refused"
# conntrack remembered the client's port, and with it a Pod that is gone
REMEMBERED = "remembered"
# what was captured does not tell
UNKNOWN = "not known"
