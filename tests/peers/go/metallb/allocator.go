package allocator

import (
	"net"

	"go.universe.tf/metallb/internal/config"
	"go.universe.tf/metallb/internal/ipfamily"
	"go.universe.tf/metallb/internal/peercases"
	"go.universe.tf/metallb/internal/peerpools"
	v1 "k8s.io/api/core/v1"
)

// The methods that MetalLB's tests call: each does the real one, and writes down what it was asked and what it said.

type object = map[string]any

var (
	depth   int
	numbers = map[*Allocator]int{}
)

func recorded(a *Allocator, call object, do func() error) {
	depth++
	err := do()
	depth--
	if depth > 0 {
		return
	}
	if numbers[a] == 0 {
		numbers[a] = len(numbers) + 1
	}
	call["allocator"], call["error"] = numbers[a], ""
	if err != nil {
		call["error"] = err.Error()
	}
	peercases.Write(call)
}

// SetPools records the pools.
func (a *Allocator) SetPools(pools *config.Pools) {
	recorded(a, object{"call": "SetPools", "pools": peerpools.Describe(pools)}, func() error {
		a.realSetPools(pools)
		return nil
	})
}

// Unassign records the Service.
func (a *Allocator) Unassign(svc string) {
	recorded(a, object{"call": "Unassign", "key": svc}, func() error {
		a.realUnassign(svc)
		return nil
	})
}

// Assign records the addresses.
func (a *Allocator) Assign(key string, svc *v1.Service, ips []net.IP, ports []Port, sharing, backend string) (err error) {
	call := object{"call": "Assign", "ips": ips}
	describe(call, key, svc, ports, sharing, backend)
	recorded(a, call, func() error {
		err = a.realAssign(key, svc, ips, ports, sharing, backend)
		return err
	})
	return err
}

// AllocateFromPool records the pool, and the addresses that were found.
func (a *Allocator) AllocateFromPool(key string, svc *v1.Service, family ipfamily.Family, pool string, ports []Port, sharing, backend string) (ips []net.IP, err error) {
	call := object{"call": "AllocateFromPool", "family": family, "pool": pool}
	describe(call, key, svc, ports, sharing, backend)
	recorded(a, call, func() error {
		ips, err = a.realAllocateFromPool(key, svc, family, pool, ports, sharing, backend)
		call["ips"] = ips
		return err
	})
	return ips, err
}

// Allocate records the addresses that were found.
func (a *Allocator) Allocate(key string, svc *v1.Service, family ipfamily.Family, ports []Port, sharing, backend string) (ips []net.IP, err error) {
	call := object{"call": "Allocate", "family": family}
	describe(call, key, svc, ports, sharing, backend)
	recorded(a, call, func() error {
		ips, err = a.realAllocate(key, svc, family, ports, sharing, backend)
		call["ips"] = ips
		return err
	})
	return ips, err
}

func describe(call object, key string, svc *v1.Service, ports []Port, sharing, backend string) {
	call["key"], call["ports"], call["sharing"], call["backend"] = key, ports, sharing, backend
	call["service"] = svc
}
