// The election in Go, for bench/twin.py: the smallest hash of each address, and MetalLB's own way, which sorts.
package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"sort"
	"strconv"
	"time"
)

func smallest(nodes []string, ip string) string {
	var best [32]byte
	leader := ""
	for _, node := range nodes {
		hash := sha256.Sum256([]byte(node + "#" + ip))
		if leader == "" || bytes.Compare(hash[:], best[:]) < 0 {
			best, leader = hash, node
		}
	}
	return leader
}

// as MetalLB v0.14.8 speaker/layer2_controller.go does it, for one address on one speaker
func sorted(nodes []string, ip string) string {
	ordered := append([]string(nil), nodes...)
	sort.Slice(ordered, func(i, j int) bool {
		a := sha256.Sum256([]byte(ordered[i] + "#" + ip))
		b := sha256.Sum256([]byte(ordered[j] + "#" + ip))
		return bytes.Compare(a[:], b[:]) < 0
	})
	return ordered[0]
}

func main() {
	count, _ := strconv.Atoi(os.Args[1])
	addresses, _ := strconv.Atoi(os.Args[2])
	nodes := make([]string, count)
	for i := range nodes {
		nodes[i] = fmt.Sprintf("node-%04d", i)
	}
	for name, elect := range map[string]func([]string, string) string{"smallest": smallest, "sorted": sorted} {
		rounds := addresses
		if name == "sorted" {
			rounds = addresses / 20
		}
		began, last := time.Now(), ""
		for i := 0; i < rounds; i++ {
			last = elect(nodes, fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255))
		}
		fmt.Printf("%s %.6f %s\n", name, time.Since(began).Seconds()/float64(rounds), last)
	}
}
