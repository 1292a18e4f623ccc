// Answer questions about MetalLB v0.14.8 with its own packages: one JSON object a line, one answer a line.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"go.universe.tf/metallb/internal/config"
	"go.universe.tf/metallb/internal/k8s/controllers"
	"go.universe.tf/metallb/internal/k8s/webhooks/webhookv1beta1"
	"go.universe.tf/metallb/internal/peercontroller"
	"go.universe.tf/metallb/internal/peerspeaker"
)

type question struct {
	Ask       string                  `json:"ask"`
	Resources config.ClusterResources `json:"resources"`
	Mode      string                  `json:"mode"`
	Operation string                  `json:"operation"`
	Object    json.RawMessage         `json:"object"`
	Key       string                  `json:"key"`
	Cluster   json.RawMessage         `json:"cluster"`
}

var allocation *peercontroller.Session

func answer(line []byte) (result any, err error) {
	defer func() {
		if problem := recover(); problem != nil {
			result, err = nil, fmt.Errorf("panic: %v", problem)
		}
	}()
	var asked question
	if err := json.Unmarshal(line, &asked); err != nil {
		return nil, err
	}
	switch asked.Ask {
	case "configuration":
		parsed, err := controllers.PeerConfig(asked.Resources, config.ValidationFor(asked.Mode))
		if err != nil {
			return nil, err
		}
		return describe(parsed), nil
	case "admission":
		return nil, webhookv1beta1.PeerAdmit(asked.Operation, asked.Object, asked.Resources)
	case "pools":
		allocation = peercontroller.New()
		return nil, allocation.SetPools(asked.Resources)
	case "new pools":
		return nil, allocation.SetPools(asked.Resources)
	case "service":
		return allocation.SetBalancer(asked.Key, asked.Object)
	case "announcements":
		return peerspeaker.Announcements(asked.Resources, asked.Cluster)
	}
	return nil, fmt.Errorf("unknown question %q", asked.Ask)
}

func main() {
	in, out := bufio.NewReaderSize(os.Stdin, 1<<24), bufio.NewWriter(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		result, problem := answer(line)
		reply := map[string]any{"result": result}
		if problem != nil {
			reply["error"] = problem.Error()
		}
		encoded, err := json.Marshal(reply)
		if err != nil {
			panic(err)
		}
		out.Write(encoded)
		out.WriteByte('\n')
		out.Flush()
	}
}
