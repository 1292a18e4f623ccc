package peercontroller

import (
	"encoding/json"
	"fmt"

	"github.com/go-kit/log"
	"go.universe.tf/metallb/internal/allocator"
	"go.universe.tf/metallb/internal/config"
	"go.universe.tf/metallb/internal/k8s/controllers"
	v1 "k8s.io/api/core/v1"
)

// Session is a controller, and what it wrote about the last Service.
type Session struct {
	controller *controller
	Events     []event     `json:"events"`
	Service    *v1.Service `json:"service"`
	Reprocess  bool        `json:"reprocess"`
}

type event struct {
	Type    string `json:"type"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// New returns a controller that has no configuration yet.
func New() *Session {
	session := &Session{controller: &controller{ips: allocator.New()}}
	session.controller.client = session
	return session
}

// UpdateStatus keeps the Service that the controller would write.
func (s *Session) UpdateStatus(svc *v1.Service) error {
	s.Service = svc
	return nil
}

// Infof keeps an event.
func (s *Session) Infof(_ *v1.Service, reason, message string, arguments ...interface{}) {
	s.Events = append(s.Events, event{"Normal", reason, fmt.Sprintf(message, arguments...)})
}

// Errorf keeps an event.
func (s *Session) Errorf(_ *v1.Service, reason, message string, arguments ...interface{}) {
	s.Events = append(s.Events, event{"Warning", reason, fmt.Sprintf(message, arguments...)})
}

// SetPools gives the controller a configuration.
func (s *Session) SetPools(resources config.ClusterResources) error {
	parsed, err := controllers.PeerConfig(resources, config.ValidationFor("native"))
	if err != nil {
		return err
	}
	s.controller.SetPools(log.NewNopLogger(), parsed.Pools)
	return nil
}

// SetBalancer lets the controller reconcile a Service; null for one that was deleted.
func (s *Session) SetBalancer(key string, raw []byte) (*Session, error) {
	var service *v1.Service
	if err := json.Unmarshal(raw, &service); err != nil {
		return nil, err
	}
	s.Events, s.Service = []event{}, service
	state := s.controller.SetBalancer(log.NewNopLogger(), key, service, nil)
	s.Reprocess = state == controllers.SyncStateReprocessAll
	return s, nil
}
