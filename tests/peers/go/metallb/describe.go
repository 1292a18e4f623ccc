package main

import (
	"net"
	"sort"

	"go.universe.tf/metallb/internal/config"
)

type object = map[string]any

func describe(parsed *config.Config) object {
	pools, peers := object{}, object{}
	for name, pool := range parsed.Pools.ByName {
		pools[name] = describePool(pool)
	}
	for name, peer := range parsed.Peers {
		peers[name] = describePeer(peer)
	}
	return object{"pools": pools, "peers": peers}
}

func describePool(pool *config.Pool) object {
	networks, layer2, bgp := []string{}, []object{}, []object{}
	for _, network := range pool.CIDR {
		networks = append(networks, network.String())
	}
	for _, ad := range pool.L2Advertisements {
		layer2 = append(layer2, object{"nodes": names(ad.Nodes), "interfaces": list(ad.Interfaces)})
	}
	for _, ad := range pool.BGPAdvertisements {
		communities := []string{}
		for community := range ad.Communities {
			communities = append(communities, community.String())
		}
		sort.Strings(communities)
		bgp = append(bgp, object{
			"name": ad.Name, "nodes": names(ad.Nodes), "length": ad.AggregationLength, "length_v6": ad.AggregationLengthV6,
			"local_pref": ad.LocalPref, "communities": communities, "peers": list(ad.Peers),
		})
	}
	described := object{
		"networks": networks, "auto_assign": pool.AutoAssign, "avoid_buggy_ips": pool.AvoidBuggyIPs,
		"pinned": pool.ServiceAllocations != nil, "priority": 0, "namespaces": []string{}, "layer2": layer2, "bgp": bgp,
	}
	if pool.ServiceAllocations != nil {
		namespaces := pool.ServiceAllocations.Namespaces.UnsortedList()
		sort.Strings(namespaces)
		described["priority"], described["namespaces"] = pool.ServiceAllocations.Priority, list(namespaces)
	}
	return described
}

func describePeer(peer *config.Peer) object {
	return object{
		"name": peer.Name, "address": address(peer.Addr), "port": peer.Port, "asn": peer.ASN, "my_asn": peer.MyASN,
		"hold": peer.HoldTime.Seconds(), "source": address(peer.SrcAddr), "router_id": address(peer.RouterID),
		"password": peer.Password + peer.SecretPassword, "ebgp_multi_hop": peer.EBGPMultiHop,
	}
}

func address(ip net.IP) string {
	if ip == nil {
		return ""
	}
	return ip.String()
}

func names(chosen map[string]bool) []string {
	found := []string{}
	for name := range chosen {
		found = append(found, name)
	}
	sort.Strings(found)
	return found
}

func list(texts []string) []string {
	return append([]string{}, texts...)
}
