package webhookv1beta2

import (
	"encoding/json"

	"go.universe.tf/metallb/api/v1beta2"
)

// PeerAdmit asks the webhook of BGPPeers.
func PeerAdmit(operation string, raw []byte) error {
	var peer v1beta2.BGPPeer
	if err := json.Unmarshal(raw, &peer); err != nil {
		return err
	}
	switch operation {
	case "CREATE":
		return validatePeerCreate(&peer)
	case "UPDATE":
		return validatePeerUpdate(&peer, &peer)
	}
	return validatePeerDelete(&peer)
}
