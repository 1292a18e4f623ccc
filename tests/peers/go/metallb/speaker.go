package peerspeaker

import (
	"encoding/json"
	"net"

	"github.com/go-kit/log"
	"go.universe.tf/metallb/internal/bgp"
	"go.universe.tf/metallb/internal/config"
	"go.universe.tf/metallb/internal/k8s/controllers"
	v1 "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
)

type cluster struct {
	Services        []v1.Service              `json:"services"`
	Slices          []discovery.EndpointSlice `json:"slices"`
	Speakers        map[string]bool           `json:"speakers"`
	IgnoreExcludeLB bool                      `json:"ignoreExcludeLB"`
}

// Announcement is what one speaker decides about one Service.
type Announcement struct {
	Node    string  `json:"node"`
	Service string  `json:"service"`
	Layer2  string  `json:"layer2"`
	BGP     string  `json:"bgp"`
	Routes  []route `json:"routes"`
}

type route struct {
	Peer        string   `json:"peer"`
	Prefix      string   `json:"prefix"`
	LocalPref   uint32   `json:"local_pref"`
	Communities []string `json:"communities"`
}

type speakers map[string]bool

func (s speakers) UsableSpeakers() map[string]bool { return s }
func (s speakers) Rejoin()                         {}

// Announcements asks every speaker about every Service that has an address.
func Announcements(resources config.ClusterResources, raw []byte) ([]Announcement, error) {
	parsed, err := controllers.PeerConfig(resources, config.ValidationFor("native"))
	if err != nil {
		return nil, err
	}
	var asked cluster
	if err := json.Unmarshal(raw, &asked); err != nil {
		return nil, err
	}
	nodes := map[string]*v1.Node{}
	for i := range resources.Nodes {
		nodes[resources.Nodes[i].Name] = &resources.Nodes[i]
	}
	found := []Announcement{}
	for i := range asked.Services {
		for name := range asked.Speakers {
			found = append(found, announcement(parsed, &asked, &asked.Services[i], name, nodes))
		}
	}
	return found, nil
}

func announcement(parsed *config.Config, asked *cluster, svc *v1.Service, node string, nodes map[string]*v1.Node) Announcement {
	key, ips, logger := svc.Namespace+"/"+svc.Name, []net.IP{}, log.NewNopLogger()
	for _, ingress := range svc.Status.LoadBalancer.Ingress {
		ips = append(ips, net.ParseIP(ingress.IP))
	}
	slices := []discovery.EndpointSlice{}
	for _, slice := range asked.Slices {
		if slice.Namespace == svc.Namespace && slice.Labels[discovery.LabelServiceName] == svc.Name {
			slices = append(slices, slice)
		}
	}
	said := Announcement{Node: node, Service: key, Layer2: "ipNotAllowed", BGP: "ipNotAllowed", Routes: []route{}}
	pool := parsed.Pools.ByName[poolFor(parsed.Pools, ips)]
	if pool == nil {
		return said
	}
	layer2 := layer2Controller{myNode: node, sList: speakers(asked.Speakers), ignoreExcludeLB: asked.IgnoreExcludeLB}
	routes := bgpController{myNode: node, svcAds: map[string][]*bgp.Advertisement{}, ignoreExcludeLB: asked.IgnoreExcludeLB}
	said.Layer2 = layer2.ShouldAnnounce(logger, key, ips, pool, svc, slices, nodes)
	said.BGP = routes.ShouldAnnounce(logger, key, ips, pool, svc, slices, nodes)
	if said.BGP == "" {
		if err := routes.SetBalancer(logger, key, ips, pool, nil, svc); err != nil {
			panic(err)
		}
		for _, peer := range parsed.Peers {
			said.Routes = append(said.Routes, routesOf(peer, routes.svcAds[key], nodes[node])...)
		}
	}
	return said
}

// routesOf returns what a session with a peer would carry, if the peer's selectors match the node.
func routesOf(peer *config.Peer, ads []*bgp.Advertisement, node *v1.Node) []route {
	found := []route{}
	for _, selector := range peer.NodeSelectors {
		if !selector.Matches(labels.Set(node.Labels)) {
			continue
		}
		for _, ad := range adsForPeer(peer.Name, ads) {
			communities := []string{}
			for _, community := range ad.Communities {
				communities = append(communities, community.String())
			}
			found = append(found, route{peer.Name, ad.Prefix.String(), ad.LocalPref, communities})
		}
		break
	}
	return found
}
