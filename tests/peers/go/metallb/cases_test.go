package config

import (
	"encoding/json"
	"os"
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
	line, _ := json.Marshal(found)
	file, err := os.OpenFile(os.Getenv("PEER_CASES"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		panic(err)
	}
	defer file.Close()
	file.Write(append(line, '\n'))
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
