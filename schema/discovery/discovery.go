// Package discovery answers the NATS micro protocol ($SRV.>) for a role, so that `nats micro ls`, `ping`, `info` and
// `stats` show it.
//
// Input: questions on $SRV, and the role's name, id and counts. Output: answers with the types of
// nats.go's micro package. Must not touch: anything but the bus.
//
// It does not use micro.Service, which times how long a handler runs: in a role that is how long a request takes to be
// queued. Measured: 800 requests that failed after 2 ms each showed as 0.5 µs on average, and no error.
package discovery

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"flickrkillr/schema/wire"
)

// Service is one instance of a role, as the micro protocol describes it.
type Service struct {
	Name        string // of the role
	ID          string // of the instance, among all
	Version     string // semantic
	Description string
	Metadata    map[string]string
	Started     time.Time
	Logger      *slog.Logger

	Endpoints func() []Endpoint // called for each question, from several goroutines
	// Figures of the whole instance, as JSON in the field `data` of its statistics; nil: none. Called like Endpoints.
	Figures func() any
}

// Endpoint is one kind of request, and what was done for it since the start.
type Endpoint struct {
	Name     string
	Subject  string
	Queue    string            // queue group; "": none
	Metadata map[string]string // shown by `nats micro info`

	Requests   int
	Errors     int
	LastError  string
	Processing time.Duration // over all requests
	Data       any           // more figures, as JSON; nil: none
}

// Host is the metadata that tells instances apart: host name and process id.
func Host() map[string]string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return map[string]string{"host": host, "pid": strconv.Itoa(os.Getpid())}
}

// Subscribe begins to answer. The caller ends the subscriptions, also those returned with an error.
func (s *Service) Subscribe(nc *nats.Conn) (all []*nats.Subscription, err error) {
	for verb, answer := range map[micro.Verb]func() any{
		micro.PingVerb:  func() any { return micro.Ping{ServiceIdentity: s.identity(), Type: micro.PingResponseType} },
		micro.InfoVerb:  func() any { return s.info() },
		micro.StatsVerb: func() any { return s.stats() },
	} {
		for _, of := range [...]struct{ name, id string }{{"", ""}, {s.Name, ""}, {s.Name, s.ID}} {
			subject, err := micro.ControlSubject(verb, of.name, of.id)
			if err != nil {
				return all, fmt.Errorf("announce %s: %w", verb, err)
			}
			sub, err := nc.Subscribe(subject, s.respond(answer))
			if err != nil {
				return all, fmt.Errorf("subscribe to %s: %w", subject, err)
			}
			all = append(all, sub)
		}
	}
	return all, nil
}

func (s *Service) respond(answer func() any) nats.MsgHandler {
	return func(m *nats.Msg) {
		if !wire.ValidReply(m.Reply) {
			s.Logger.Debug("dropped a request without an inbox", "subject", m.Subject, "reply", m.Reply)
			return
		}
		data, err := json.Marshal(answer())
		if err == nil {
			err = m.Respond(data)
		}
		if err != nil {
			s.Logger.Warn("answer a question about the service", "subject", m.Subject, "err", err)
		}
	}
}

func (s *Service) identity() micro.ServiceIdentity {
	return micro.ServiceIdentity{Name: s.Name, ID: s.ID, Version: s.Version, Metadata: s.Metadata}
}

func (s *Service) info() micro.Info {
	info := micro.Info{ServiceIdentity: s.identity(), Type: micro.InfoResponseType, Description: s.Description}
	for _, e := range s.Endpoints() {
		info.Endpoints = append(info.Endpoints, micro.EndpointInfo{Name: e.Name, Subject: e.Subject,
			QueueGroup: e.Queue, Metadata: e.Metadata})
	}
	return info
}

// Statistics is the answer to a question for statistics: that of the micro protocol, and the figures of the instance.
type Statistics struct {
	micro.Stats
	Data json.RawMessage `json:"data,omitempty"`
}

func (s *Service) stats() Statistics {
	all := Statistics{}
	all.Stats = micro.Stats{ServiceIdentity: s.identity(), Type: micro.StatsResponseType, Started: s.Started.UTC()}
	for _, e := range s.Endpoints() {
		row := &micro.EndpointStats{Name: e.Name, Subject: e.Subject, QueueGroup: e.Queue, NumRequests: e.Requests,
			NumErrors: e.Errors,
			LastError: e.LastError, ProcessingTime: e.Processing}
		if e.Requests > 0 {
			row.AverageProcessingTime = e.Processing / time.Duration(e.Requests)
		}
		if e.Data != nil {
			if data, err := json.Marshal(e.Data); err == nil { // numbers and strings always marshal
				row.Data = data
			}
		}
		all.Endpoints = append(all.Endpoints, row)
	}
	if s.Figures != nil {
		data, err := json.Marshal(s.Figures())
		if err != nil {
			s.Logger.Warn("answer a question about the service without its figures", "err", err)
		}
		all.Data = data
	}
	return all
}
