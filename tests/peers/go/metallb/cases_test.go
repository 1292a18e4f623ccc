package config

import (
	"encoding/json"

	"go.universe.tf/metallb/internal/peercases"
)

type tableCase struct {
	Table     string           `json:"table"`
	Name      string           `json:"name"`
	Resources ClusterResources `json:"resources"`
	Error     string           `json:"error"`
}

// recorded parses the resources of a case in MetalLB's own tables, and writes the case as a line of JSON.
func recorded(table, name string, resources ClusterResources, parse func() error) error {
	encoded, err := json.Marshal(resources)
	if err != nil {
		panic(err)
	}
	found := tableCase{Table: table, Name: name}
	if err := json.Unmarshal(encoded, &found.Resources); err != nil {
		panic(err)
	}
	problem := parse()
	if problem != nil {
		found.Error = problem.Error()
	}
	peercases.Write(found)
	return problem
}

func recordedConfig(name string, resources ClusterResources) (*Config, error) {
	var parsed *Config
	err := recorded("TestParse", name, resources, func() (err error) {
		parsed, err = For(resources, DontValidate)
		return err
	})
	return parsed, err
}
