package webhookv1beta1

import (
	"encoding/json"
	"fmt"

	"github.com/go-kit/log"
	"go.universe.tf/metallb/api/v1beta1"
	"go.universe.tf/metallb/api/v1beta2"
	"go.universe.tf/metallb/internal/config"
	"go.universe.tf/metallb/internal/k8s/webhooks/webhookv1beta2"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PeerAdmit asks the webhook of an object's kind, as the controller in native mode does.
func PeerAdmit(operation string, raw []byte, existing config.ClusterResources) error {
	Logger, webhookv1beta2.Logger = log.NewNopLogger(), log.NewNopLogger()
	MetalLBNamespace, webhookv1beta2.MetalLBNamespace = "metallb-system", "metallb-system"
	Validator = config.NewValidator(config.ValidationFor("native"))
	webhookv1beta2.Validator = Validator
	getExistingIPAddressPools = func() (*v1beta1.IPAddressPoolList, error) {
		return &v1beta1.IPAddressPoolList{Items: existing.Pools}, nil
	}
	getExistingBGPAdvs = func() (*v1beta1.BGPAdvertisementList, error) {
		return &v1beta1.BGPAdvertisementList{Items: existing.BGPAdvs}, nil
	}
	getExistingL2Advs = func() (*v1beta1.L2AdvertisementList, error) {
		return &v1beta1.L2AdvertisementList{Items: existing.L2Advs}, nil
	}
	getExistingCommunities = func() (*v1beta1.CommunityList, error) {
		return &v1beta1.CommunityList{Items: existing.Communities}, nil
	}
	getExistingNodes = func() (*v1.NodeList, error) { return &v1.NodeList{Items: existing.Nodes}, nil }
	webhookv1beta2.GetExistingBGPPeers = func() (*v1beta2.BGPPeerList, error) {
		return &v1beta2.BGPPeerList{Items: existing.Peers}, nil
	}
	var kind metav1.TypeMeta
	if err := json.Unmarshal(raw, &kind); err != nil {
		return err
	}
	switch kind.Kind {
	case "IPAddressPool":
		return admit(operation, raw, validateIPAddressPoolCreate, validateIPAddressPoolUpdate, validateIPAddressPoolDelete)
	case "L2Advertisement":
		return admit(operation, raw, validateL2AdvCreate, validateL2AdvUpdate, validateL2AdvDelete)
	case "BGPAdvertisement":
		return admit(operation, raw, validateBGPAdvCreate, validateBGPAdvUpdate, validateBGPAdvDelete)
	case "Community":
		return admit(operation, raw, validateCommunityCreate, validateCommunityUpdate, validateCommunityDelete)
	case "BFDProfile":
		return admit(operation, raw, validateBFDCreate, validateBFDUpdate, validateBFDDelete)
	case "BGPPeer":
		return webhookv1beta2.PeerAdmit(operation, raw)
	}
	return fmt.Errorf("no webhook for %q", kind.Kind)
}

func admit[T any](operation string, raw []byte, create func(*T) error, update func(*T, *T) error, remove func(*T) error) error {
	var decoded T
	if err := json.Unmarshal(raw, &decoded); err != nil {
		return err
	}
	switch operation {
	case "CREATE":
		return create(&decoded)
	case "UPDATE":
		return update(&decoded, &decoded)
	}
	return remove(&decoded)
}
