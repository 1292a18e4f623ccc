// Package peerpools describes pools as JSON has them.
package peerpools

import "go.universe.tf/metallb/internal/config"

type object = map[string]any

// Describe returns the pools by name.
func Describe(pools *config.Pools) object {
	found := object{}
	for name, pool := range pools.ByName {
		networks := []string{}
		for _, network := range pool.CIDR {
			networks = append(networks, network.String())
		}
		described := object{
			"networks": networks, "auto_assign": pool.AutoAssign, "avoid_buggy_ips": pool.AvoidBuggyIPs,
			"pinned": pool.ServiceAllocations != nil,
		}
		if allocation := pool.ServiceAllocations; allocation != nil {
			selectors := [][]object{}
			for _, selector := range allocation.ServiceSelectors {
				expressions := []object{}
				requirements, _ := selector.Requirements()
				for _, one := range requirements {
					expressions = append(expressions, object{"key": one.Key(), "operator": one.Operator(), "values": one.Values().List()})
				}
				selectors = append(selectors, expressions)
			}
			described["priority"], described["namespaces"] = allocation.Priority, allocation.Namespaces.UnsortedList()
			described["selectors"] = selectors
		}
		found[name] = described
	}
	return found
}
