// Answer lines of JSON about topology hints, by Kubernetes' own package.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	v1 "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	"k8s.io/endpointslice/topologycache"
	"k8s.io/klog/v2"
)

type question struct {
	Nodes  []*v1.Node               `json:"nodes"`
	Slice  *discovery.EndpointSlice `json:"slice"`
	Before bool                     `json:"before"` // the slice is unchanged
}

func main() {
	klog.SetOutput(os.Stderr)
	klog.LogToStderr(false)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), 1<<24)
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			panic(err)
		}
		cache := topologycache.NewTopologyCache()
		cache.SetNodes(klog.Background(), asked.Nodes)
		info := &topologycache.SliceInfo{ServiceKey: "default/web", AddressType: discovery.AddressTypeIPv4}
		if asked.Before {
			info.Unchanged = []*discovery.EndpointSlice{asked.Slice}
		} else {
			info.ToUpdate = []*discovery.EndpointSlice{asked.Slice}
		}
		_, updated, events := cache.AddHints(klog.Background(), info)
		written := asked.Slice
		if len(updated) > 0 {
			written = updated[0]
		}
		hints := []string{}
		for _, endpoint := range written.Endpoints {
			hint := ""
			if endpoint.Hints != nil {
				hint = endpoint.Hints.ForZones[0].Name
			}
			hints = append(hints, hint)
		}
		event := events[len(events)-1]
		answer, _ := json.Marshal(map[string]any{
			"hints": hints, "type": event.EventType, "reason": event.Reason, "message": event.Message})
		fmt.Println(string(answer))
	}
}
