package peercontrollertests

import (
	"github.com/go-kit/log"
	"go.universe.tf/metallb/internal/config"
	"go.universe.tf/metallb/internal/k8s/controllers"
	"go.universe.tf/metallb/internal/peercases"
	"go.universe.tf/metallb/internal/peerpools"
	v1 "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
)

// The methods that MetalLB's tests call: each does the real one, and writes down what it was asked and what came of it.

var numbers = map[*controller]int{}

func record(c *controller, call map[string]any) {
	if numbers[c] == 0 {
		numbers[c] = len(numbers) + 1
	}
	call["controller"] = numbers[c]
	peercases.Write(call)
}

// SetPools records the pools.
func (c *controller) SetPools(l log.Logger, pools *config.Pools) controllers.SyncState {
	if pools != nil {
		record(c, map[string]any{"call": "SetPools", "pools": peerpools.Describe(pools)})
	}
	return c.realSetPools(l, pools)
}

// SetBalancer records the Service, its new status, and whether a warning was written.
func (c *controller) SetBalancer(l log.Logger, name string, svc *v1.Service, eps []discovery.EndpointSlice) controllers.SyncState {
	before := svc.DeepCopy()
	state := c.realSetBalancer(l, name, svc, eps)
	client := c.client.(*testK8S)
	record(c, map[string]any{
		"call": "SetBalancer", "key": name, "service": before, "status": client.updateServiceStatus,
		"warning": client.loggedWarning})
	return state
}
