// Beside the copy of kube-proxy's pkg/proxy/iptables: print the rules that its proxier writes.
//
// TestPeer reads clusters as JSON, one a line, from the file $PEER_INPUT, and writes their rules to $PEER_OUTPUT.
// observeService, observeSlice and record are called by the copy of proxier.go, which has these calls put into it: each
// sync, of kube-proxy's own tests too, is written to $PEER_OUTPUT.

package iptables

import (
	"bufio"
	"encoding/json"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	v1 "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	"k8s.io/kubernetes/pkg/proxy"
	"k8s.io/kubernetes/pkg/proxy/metrics"
	proxyutil "k8s.io/kubernetes/pkg/proxy/util"
	proxyutiltest "k8s.io/kubernetes/pkg/proxy/util/testing"
	iptablestest "k8s.io/kubernetes/pkg/util/iptables/testing"
	netutils "k8s.io/utils/net"
)

// config is what the proxier is started with, and its node.
type config struct {
	IPv6                bool              `json:"ipv6"`
	ClusterCIDR         string            `json:"clusterCIDR"`
	Hostname            string            `json:"hostname"`
	NodeIP              string            `json:"nodeIP"`
	NodeLabels          map[string]string `json:"nodeLabels"`
	InterfaceAddresses  []string          `json:"interfaceAddresses"`
	MasqueradeAll       bool              `json:"masqueradeAll"`
	LocalhostNodePorts  bool              `json:"localhostNodePorts"`
	ConntrackTCPLiberal bool              `json:"conntrackTCPLiberal"`
	NodePortAddresses   []string          `json:"nodePortAddresses"`
	NFAcct              []string          `json:"nfacct"`
}

type cluster struct {
	Config         config                     `json:"config"`
	Services       []*v1.Service              `json:"services"`
	EndpointSlices []*discovery.EndpointSlice `json:"endpointSlices"`
}

type result struct {
	cluster
	Test           string         `json:"test"`
	Rules          string         `json:"rules"`
	HealthPorts    map[string]int `json:"healthPorts"`
	LocalEndpoints map[string]int `json:"localEndpoints"`
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

// sync lets a new proxier write all rules of a cluster; record writes them down.
func (given *cluster) sync() {
	family, fake := v1.IPv4Protocol, iptablestest.NewFake()
	if given.Config.IPv6 {
		family, fake = v1.IPv6Protocol, iptablestest.NewIPv6Fake()
	}
	fake.SetHasRandomFully(true)
	proxier := NewFakeProxier(fake)
	proxier.localDetector = proxyutil.NewNoOpLocalDetector()
	if given.Config.ClusterCIDR != "" {
		proxier.localDetector = proxyutil.NewDetectLocalByCIDR(given.Config.ClusterCIDR)
	}
	proxier.hostname = given.Config.Hostname
	proxier.endpointsChanges = proxy.NewEndpointsChangeTracker(proxier.hostname, newEndpointInfo, family, nil, nil)
	proxier.nodeIP = netutils.ParseIPSloppy(given.Config.NodeIP)
	proxier.nodeLabels = given.Config.NodeLabels
	proxier.masqueradeAll = given.Config.MasqueradeAll
	proxier.conntrackTCPLiberal = given.Config.ConntrackTCPLiberal
	proxier.nodePortAddresses = proxyutil.NewNodePortAddresses(family, given.Config.NodePortAddresses)
	proxier.localhostNodePorts = given.Config.LocalhostNodePorts && proxier.nodePortAddresses.ContainsIPv4Loopback()
	proxier.networkInterfacer = network(given.Config.InterfaceAddresses)
	proxier.nfAcctCounters = map[string]bool{}
	for _, name := range given.Config.NFAcct {
		proxier.nfAcctCounters[name] = true
	}
	for _, service := range given.Services {
		proxier.OnServiceAdd(service)
	}
	for _, slice := range given.EndpointSlices {
		proxier.OnEndpointSliceAdd(slice)
	}
	proxier.syncProxyRules()
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

// record writes down what a proxier knew when it synced, and all its rules after it.
func record(proxier *Proxier) {
	if !proxier.isInitialized() {
		return // it wrote nothing yet
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
	found := result{Test: runningTest(), HealthPorts: map[string]int{}, LocalEndpoints: map[string]int{}}
	found.Config = configOf(proxier)
	for _, service := range knownTo(proxier).services {
		found.Services = append(found.Services, service)
	}
	for _, slice := range knownTo(proxier).endpointSlices {
		found.EndpointSlices = append(found.EndpointSlices, slice)
	}
	found.Rules = proxier.iptables.(*iptablestest.FakeIPTables).Dump.String()
	for name, port := range proxier.svcPortMap.HealthCheckNodePorts() {
		found.HealthPorts[name.String()] = int(port)
	}
	for name, count := range proxier.endpointsMap.LocalReadyEndpoints() {
		found.LocalEndpoints[name.String()] = count
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
		IPv6: proxier.iptables.IsIPv6(), Hostname: proxier.hostname, NodeIP: proxier.nodeIP.String(),
		NodeLabels: proxier.nodeLabels, MasqueradeAll: proxier.masqueradeAll,
		LocalhostNodePorts: proxier.localhostNodePorts, ConntrackTCPLiberal: proxier.conntrackTCPLiberal,
	}
	if proxier.localDetector.IsImplemented() {
		found.ClusterCIDR = proxier.localDetector.IfLocal()[1]
	}
	found.NodePortAddresses = strings.Fields(strings.Trim(proxier.nodePortAddresses.String(), "[]"))
	addresses, _ := proxier.networkInterfacer.InterfaceAddrs()
	for _, address := range addresses {
		text, _, _ := strings.Cut(address.String(), "/")
		if text != "<nil>" { // kube-proxy's own tests have one
			found.InterfaceAddresses = append(found.InterfaceAddresses, text)
		}
	}
	for _, name := range []string{metrics.IPTablesCTStateInvalidDroppedNFAcctCounter, metrics.LocalhostNodePortAcceptedNFAcctCounter} {
		if proxier.nfAcctCounters[name] {
			found.NFAcct = append(found.NFAcct, name)
		}
	}
	return found
}
