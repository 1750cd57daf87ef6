package edge

import (
	"context"
	"errors"
	"net/http"
	"time"

	"flickrkillr/edge/session"
	"flickrkillr/edge/upload"
)

// Bounds of a stream of events.
const (
	eventsBeat  = 15 * time.Second // between two signs of life
	eventsOpen  = 2 * time.Second  // for the bus to take the subscription
	eventsWrite = 10 * time.Second // for the browser to read what is written
)

var typeEvents = []string{"text/event-stream"}

// uploadEvents tells a browser what happens to its person's uploads (Server-Sent Events), until it leaves, the session
// ends, or the edge stops.
func (s *Server) uploadEvents(w http.ResponseWriter, r *http.Request, x *exchange, who visitor) error {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", "GET")
		return &refusal{status: http.StatusMethodNotAllowed, Code: "method", Problem: "this address takes GET"}
	}
	opening, cancel := context.WithTimeout(r.Context(), eventsOpen)
	stream, err := s.events.Open(opening, who.User)
	cancel()
	if err != nil {
		return err
	}
	defer stream.Close()
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Time{}); err != nil { // else it would end the request
		return err
	}
	h := w.Header()
	x.status = http.StatusOK
	x.writeHeaders(h)
	h["Content-Type"] = typeEvents
	s.secureFields(h)
	beat := time.NewTicker(eventsBeat)
	defer beat.Stop()
	write := func(b []byte) error {
		if err := control.SetWriteDeadline(time.Now().Add(eventsWrite)); err != nil {
			return err
		}
		n, err := w.Write(b)
		x.bytes += n
		return errors.Join(err, control.Flush())
	}
	x.cut = tellEvents(r.Context(), stream, beat.C, s.stillSignedIn(r), write)
	return nil
}

// stillSignedIn returns a function that reports whether the session of a request counts. It costs no request while the
// session has not changed.
func (s *Server) stillSignedIn(r *http.Request) func() bool {
	token, byToken := session.Bearer(r.Header)
	if !byToken {
		token, _ = session.Token(r.Header["Cookie"], session.Cookie(s.secureFor(r)))
	}
	return func() bool {
		var err error
		if byToken {
			_, err = s.sessions.FindToken(r.Context(), token)
		} else {
			_, _, err = s.sessions.Find(r.Context(), token)
		}
		return !errors.Is(err, session.ErrNone)
	}
}

// tellEvents writes events until the stream or ctx ends, or counts returns false. beat is when it writes a sign of
// life.
func tellEvents(
	ctx context.Context, stream *upload.Stream, beat <-chan time.Time, counts func() bool, write func([]byte) error,
) error {
	err := write([]byte("retry: 3000\n\n"))
	for err == nil {
		select {
		case <-ctx.Done():
			return nil
		case <-beat:
			if !counts() {
				return nil
			}
			err = write([]byte(":\n\n"))
		case <-stream.Wake():
			events, more := stream.Take()
			if len(events) > 0 && !counts() {
				return nil
			}
			var b []byte
			for _, event := range events {
				data, err := event.JSON()
				if err != nil {
					return err
				}
				b = append(append(append(b, "data: "...), data...), "\n\n"...)
			}
			if len(b) > 0 {
				err = write(b)
			}
			if !more {
				return err
			}
		}
	}
	return err
}
