package controllers

import "go.universe.tf/metallb/internal/config"

// PeerConfig parses resources as the reconcilers do.
func PeerConfig(resources config.ClusterResources, validate config.Validate) (*config.Config, error) {
	return toConfig(resources, validate)
}
