// Package peercases writes down what MetalLB's own tests do.
package peercases

import (
	"encoding/json"
	"os"
)

// Write appends a case to the file PEER_CASES, as a line of JSON.
func Write(one any) {
	line, err := json.Marshal(one)
	if err != nil {
		panic(err)
	}
	file, err := os.OpenFile(os.Getenv("PEER_CASES"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		panic(err)
	}
	defer file.Close()
	file.Write(append(line, '\n'))
}
