// Beside the copy of kube-proxy's pkg/proxy/nftables: print the table that its proxier writes.
//
// TestPeer reads clusters as JSON, one a line, from the file $PEER_INPUT, and writes their tables to $PEER_OUTPUT.
// observeService, observeSlice and record are called by the copy of proxier.go, which has these calls put into it: each
// sync, of kube-proxy's own tests too, is written to $PEER_OUTPUT.

package nftables

import (
	"bufio"
	"encoding/json"
	"maps"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	v1 "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	"k8s.io/kubernetes/pkg/proxy"
	proxyutil "k8s.io/kubernetes/pkg/proxy/util"
	proxyutiltest "k8s.io/kubernetes/pkg/proxy/util/testing"
	netutils "k8s.io/utils/net"
	"sigs.k8s.io/knftables"
)

// config is what the proxier is started with, and its node.
type config struct {
	IPv6               bool              `json:"ipv6"`
	ClusterCIDR        string            `json:"clusterCIDR"`
	ServiceCIDR        string            `json:"serviceCIDR"`
	Hostname           string            `json:"hostname"`
	NodeIP             string            `json:"nodeIP"`
	NodeLabels         map[string]string `json:"nodeLabels"`
	InterfaceAddresses []string          `json:"interfaceAddresses"`
	MasqueradeAll      bool              `json:"masqueradeAll"`
	NodePortAddresses  []string          `json:"nodePortAddresses"`
	LocalhostRejects   bool              `json:"localhostRejects"`
}

type cluster struct {
	Config         config                     `json:"config"`
	Services       []*v1.Service              `json:"services"`
	EndpointSlices []*discovery.EndpointSlice `json:"endpointSlices"`
}

type result struct {
	cluster
	Test  string `json:"test"`
	Rules string `json:"rules"`
	// StaleChains are the chains of an earlier sync that nothing uses any more: emptied, not yet deleted.
	StaleChains []string `json:"staleChains"`
}

func TestPeer(t *testing.T) {
	name := os.Getenv("PEER_INPUT")
	if name == "" {
		t.Skip("no input")
	}
	input, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(input)
	lines.Buffer(nil, 1<<28)
	for lines.Scan() {
		var given cluster
		if err := json.Unmarshal(lines.Bytes(), &given); err != nil {
			t.Fatal(err)
		}
		given.sync()
	}
}

// sync lets a new proxier write the whole table of a cluster; record writes it down.
func (given *cluster) sync() {
	family := v1.IPv4Protocol
	if given.Config.IPv6 {
		family = v1.IPv6Protocol
	}
	_, proxier := NewFakeProxier(family)
	proxier.setInitialized(false) // no sync runs beside this one
	proxier.localDetector = proxyutil.NewNoOpLocalDetector()
	if given.Config.ClusterCIDR != "" {
		proxier.localDetector = proxyutil.NewDetectLocalByCIDR(given.Config.ClusterCIDR)
	}
	proxier.serviceCIDRs = given.Config.ServiceCIDR
	proxier.nodeName = given.Config.Hostname
	proxier.endpointsChanges = proxy.NewEndpointsChangeTracker(family, proxier.nodeName, newEndpointInfo, nil)
	proxier.nodeIP = netutils.ParseIPSloppy(given.Config.NodeIP)
	proxier.topologyLabels = given.Config.NodeLabels
	proxier.masqueradeAll = given.Config.MasqueradeAll
	proxier.nodePortAddresses = proxyutil.NewNodePortAddresses(family, given.Config.NodePortAddresses)
	proxier.networkInterfacer = network(given.Config.InterfaceAddresses)
	proxier.localhostNodePortsEnabled = given.Config.LocalhostRejects
	for _, service := range given.Services {
		proxier.OnServiceAdd(service)
	}
	for _, slice := range given.EndpointSlices {
		proxier.OnEndpointSliceAdd(slice)
	}
	proxier.setInitialized(true)
	if err := proxier.syncProxyRules(); err != nil {
		panic(err) // record wrote down a table without this cluster's rules
	}
}

func network(addresses []string) proxyutil.NetworkInterfacer {
	fake := proxyutiltest.NewFakeNetwork()
	var all []net.Addr
	for _, address := range addresses {
		all = append(all, &net.IPAddr{IP: netutils.ParseIPSloppy(address)})
	}
	fake.AddInterfaceAddr(&net.Interface{Name: "eth0"}, all)
	return fake
}

// known is what a proxier has been told of, by namespace/name.
type known struct {
	services       map[string]*v1.Service
	endpointSlices map[string]*discovery.EndpointSlice
}

var (
	mutex    sync.Mutex
	proxiers = map[*Proxier]*known{}
	output   *json.Encoder
)

func knownTo(proxier *Proxier) *known {
	if proxiers[proxier] == nil {
		proxiers[proxier] = &known{map[string]*v1.Service{}, map[string]*discovery.EndpointSlice{}}
	}
	return proxiers[proxier]
}

func observeService(proxier *Proxier, before, after *v1.Service) {
	mutex.Lock()
	defer mutex.Unlock()
	if before != nil {
		delete(knownTo(proxier).services, before.Namespace+"/"+before.Name)
	}
	if after != nil {
		knownTo(proxier).services[after.Namespace+"/"+after.Name] = after.DeepCopy()
	}
}

func observeSlice(proxier *Proxier, slice *discovery.EndpointSlice, removed bool) {
	mutex.Lock()
	defer mutex.Unlock()
	delete(knownTo(proxier).endpointSlices, slice.Namespace+"/"+slice.Name)
	if !removed {
		knownTo(proxier).endpointSlices[slice.Namespace+"/"+slice.Name] = slice.DeepCopy()
	}
}

// record writes down what a proxier knew when it synced, and its whole table after it.
func record(proxier *Proxier) {
	fake, isFake := proxier.nftables.(*knftables.Fake)
	if !proxier.isInitialized() || !isFake {
		return // it wrote nothing
	}
	mutex.Lock()
	defer mutex.Unlock()
	if output == nil {
		file, err := os.Create(os.Getenv("PEER_OUTPUT"))
		if err != nil {
			panic(err)
		}
		output = json.NewEncoder(file)
	}
	found := result{Test: runningTest(), Rules: fake.Dump()}
	found.Config = configOf(proxier)
	found.StaleChains = slices.Sorted(maps.Keys(proxier.staleChains))
	for _, service := range knownTo(proxier).services {
		found.Services = append(found.Services, service)
	}
	for _, slice := range knownTo(proxier).endpointSlices {
		found.EndpointSlices = append(found.EndpointSlices, slice)
	}
	if err := output.Encode(found); err != nil {
		panic(err)
	}
}

// runningTest returns the name of the test that called: the frame below testing's own.
func runningTest() string {
	callers := make([]uintptr, 64)
	frames, name := runtime.CallersFrames(callers[:runtime.Callers(0, callers)]), ""
	for frame, more := frames.Next(); more; frame, more = frames.Next() {
		if frame.Function == "testing.tRunner" {
			break
		}
		name = frame.Function
	}
	return strings.Split(name[strings.LastIndex(name, "/")+1:], ".")[1]
}

func configOf(proxier *Proxier) config {
	found := config{
		IPv6: proxier.ipFamily == v1.IPv6Protocol, Hostname: proxier.nodeName, NodeIP: proxier.nodeIP.String(),
		NodeLabels: proxier.topologyLabels, MasqueradeAll: proxier.masqueradeAll, ServiceCIDR: proxier.serviceCIDRs,
		LocalhostRejects: proxier.localhostNodePortsEnabled,
	}
	if proxier.localDetector.IsImplemented() {
		local := strings.Fields(proxier.localDetector.IfLocalNFT()[len(proxier.localDetector.IfLocalNFT())-1])
		found.ClusterCIDR = local[len(local)-1]
	}
	found.NodePortAddresses = strings.Fields(strings.Trim(proxier.nodePortAddresses.String(), "[]"))
	addresses, _ := proxier.networkInterfacer.InterfaceAddrs()
	for _, address := range addresses {
		text, _, _ := strings.Cut(address.String(), "/")
		if text != "<nil>" {
			found.InterfaceAddresses = append(found.InterfaceAddresses, text)
		}
	}
	return found
}
