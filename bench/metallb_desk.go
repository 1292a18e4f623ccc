// MetalLB's own controller at its desk, for bench/allocator_beside_go.py: it is built inside MetalLB's module, as a test
// of the package `controller`, since what it calls is internal. Steps come from a file, one JSON object a line.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"testing"

	"github.com/go-kit/log"
	v1 "k8s.io/api/core/v1"

	metallbv1beta1 "go.universe.tf/metallb/api/v1beta1"
	"go.universe.tf/metallb/internal/allocator"
	"go.universe.tf/metallb/internal/config"
	"go.universe.tf/metallb/internal/k8s/controllers"
)

type desk struct {
	status *v1.Service
	said   [][]string
}

func (d *desk) UpdateStatus(svc *v1.Service) error { d.status = svc; return nil }

func (d *desk) Infof(_ *v1.Service, reason, message string, args ...interface{}) {
	d.said = append(d.said, []string{"Normal", reason, fmt.Sprintf(message, args...)})
}

func (d *desk) Errorf(_ *v1.Service, reason, message string, args ...interface{}) {
	d.said = append(d.said, []string{"Warning", reason, fmt.Sprintf(message, args...)})
}

type step struct {
	Pools   []metallbv1beta1.IPAddressPool `json:"pools"`
	Service *v1.Service                    `json:"service"`
	Delete  string                         `json:"delete"`
}

func TestDesk(t *testing.T) {
	file, err := os.Open(os.Getenv("DESK_STEPS"))
	if err != nil {
		t.Skip("no steps")
	}
	out, _ := os.Create(os.Getenv("DESK_ANSWERS"))
	var c *controller
	services := map[string]*v1.Service{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var s step
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		d := &desk{}
		again := controllers.SyncStateSuccess
		switch {
		case s.Pools != nil:
			if len(services) == 0 {
				c = &controller{ips: allocator.New()}
			}
			c.client = d
			cfg, err := config.For(config.ClusterResources{Pools: s.Pools}, config.DontValidate)
			if err != nil {
				t.Fatal(err)
			}
			again = c.SetPools(log.NewNopLogger(), cfg.Pools)
		case s.Service != nil:
			key := s.Service.Namespace + "/" + s.Service.Name
			if old := services[key]; old != nil {
				s.Service.Status = old.Status
			}
			services[key] = s.Service
			c.client = d
			again = c.SetBalancer(log.NewNopLogger(), key, s.Service, nil)
			if d.status != nil {
				services[key] = d.status
			}
		case s.Delete == "*":
			services = map[string]*v1.Service{}
		default:
			delete(services, s.Delete)
			c.client = d
			again = c.SetBalancer(log.NewNopLogger(), s.Delete, nil, nil)
		}
		said := d.said
		for again == controllers.SyncStateReprocessAll {
			again = controllers.SyncStateSuccess
			keys := []string{}
			for key := range services {
				keys = append(keys, key)
			}
			sort.Strings(keys)
			for _, key := range keys {
				d := &desk{}
				c.client = d
				if c.SetBalancer(log.NewNopLogger(), key, services[key], nil) == controllers.SyncStateReprocessAll {
					again = controllers.SyncStateReprocessAll
				}
				if d.status != nil {
					services[key] = d.status
				}
				said = append(said, d.said...)
			}
		}
		ips := map[string][]string{}
		for key, svc := range services {
			for _, ingress := range svc.Status.LoadBalancer.Ingress {
				ips[key] = append(ips[key], ingress.IP)
			}
		}
		answer, _ := json.Marshal(map[string]interface{}{"ips": ips, "said": said})
		fmt.Fprintln(out, string(answer))
	}
	out.Close()
}
