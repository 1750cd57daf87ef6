package upload

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"sync"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/wire"
)

// Bounds of event streams.
const (
	streamsOfUser = 4
	eventsKept    = 256 // of a stream whose browser reads slowly
)

// ErrStreams: the user has as many streams of events as one may have.
var ErrStreams = refuse(http.StatusTooManyRequests, "too_many", "at most %d streams of events at once", streamsOfUser)

// errStopped: the edge stops.
var errStopped = errors.New("the edge stops")

// Event is what happens to an upload, as browsers get it.
type Event struct {
	ID string `json:"id"` // of the upload
	wire.UploadEvent
}

// JSON is the event as it is sent.
func (e Event) JSON() ([]byte, error) { return json.Marshal(e) }

// Events tells what happens to uploads. All streams of a user share a subscription. It is safe for concurrent use.
type Events struct {
	nc *nats.Conn

	mu      sync.Mutex
	users   map[int64]*listeners
	stopped bool
}

// listeners are the streams of one user.
type listeners struct {
	sub     *nats.Subscription
	streams []*Stream
}

// NewEvents returns Events that come by a connection.
func NewEvents(nc *nats.Conn) *Events { return &Events{nc: nc, users: map[int64]*listeners{}} }

// Stream is the events of a user's uploads for one browser.
type Stream struct {
	events *Events
	user   int64
	wake   chan struct{} // capacity 1: there is an event, or the stream has ended

	mu    sync.Mutex
	queue []Event
	ended bool
}

// Open begins a stream. It returns [ErrStreams] if the user has too many, or that the bus does not answer. The events
// that happen after Open returns are in the stream.
func (e *Events) Open(ctx context.Context, user int64) (*Stream, error) {
	s := &Stream{events: e, user: user, wake: make(chan struct{}, 1)}
	if err := e.add(s); err != nil {
		return nil, err
	}
	// The server must have the subscription before the caller goes on.
	if err := e.nc.FlushWithContext(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (e *Events) add(s *Stream) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped {
		return errors.Join(errStopped, wire.ErrUnavailable)
	}
	l := e.users[s.user]
	if l == nil {
		l = &listeners{}
		var err error
		if l.sub, err = e.nc.Subscribe(wire.UploadEventsOf(s.user), e.hear); err != nil {
			return err
		}
		e.users[s.user] = l
	}
	if len(l.streams) >= streamsOfUser {
		return ErrStreams
	}
	l.streams = append(l.streams, s)
	return nil
}

// hear passes an event to the user's streams.
func (e *Events) hear(m *nats.Msg) {
	_, user, id, err := wire.ParseUpload(m.Subject)
	if err != nil {
		return
	}
	event, err := wire.DecodeUpload[wire.UploadEvent](m.Data)
	if err != nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if l := e.users[user]; l != nil {
		for _, s := range l.streams {
			s.put(Event{id, event})
		}
	}
}

// Stop ends all streams, and lets no other begin.
func (e *Events) Stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stopped = true
	for _, l := range e.users {
		for _, s := range l.streams {
			s.end()
		}
	}
}

// Close ends the stream. The last one of a user ends the subscription.
func (s *Stream) Close() {
	s.end()
	e := s.events
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.users[s.user]
	if l == nil {
		return
	}
	l.streams = slices.DeleteFunc(l.streams, func(other *Stream) bool { return other == s })
	if len(l.streams) == 0 {
		_ = l.sub.Unsubscribe() // fails only on a closed connection
		delete(e.users, s.user)
	}
}

// put adds an event. In a full queue the oldest of those makes room that tell only how many bytes have arrived.
func (s *Stream) put(event Event) {
	s.mu.Lock()
	if len(s.queue) >= eventsKept {
		oldest := max(0, slices.IndexFunc(s.queue, func(e Event) bool { return e.Stage == wire.UploadReceived }))
		s.queue = slices.Delete(s.queue, oldest, oldest+1)
	}
	s.queue = append(s.queue, event)
	s.mu.Unlock()
	s.notify()
}

func (s *Stream) end() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.notify()
}

func (s *Stream) notify() {
	select {
	case s.wake <- struct{}{}:
	default: // a notification is already waiting
	}
}

// Wake has a value when Take has something to return.
func (s *Stream) Wake() <-chan struct{} { return s.wake }

// Take returns the events since the last call. false: the stream has ended.
func (s *Stream) Take() (events []Event, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	events, s.queue = s.queue, nil
	return events, !s.ended
}
