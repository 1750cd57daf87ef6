package wire

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// Errors that cross the bus. A renderer answers with one of them when there is no page to send; a page that says "not
// found" is a page.
var (
	ErrBusy        = errors.New("too many requests wait already")
	ErrExpired     = errors.New("the deadline has passed")
	ErrAbandoned   = errors.New("nobody waits for the answer any more")
	ErrBadRequest  = errors.New("the request cannot be understood")
	ErrNotFound    = errors.New("there is no such thing")
	ErrConflict    = errors.New("the key was used for another request")
	ErrTooLarge    = errors.New("the answer is larger than a message may be")
	ErrUnavailable = errors.New("the database or the store does not answer")
	ErrFull        = errors.New("a disk of the site is full: nothing can be changed until there is room")
	ErrInternal    = errors.New("something broke")
)

// codes maps header, sentinel and HTTP status to one another. The first row that matches counts.
var codes = [...]struct {
	code   string
	err    error
	status int
}{
	{"busy", ErrBusy, http.StatusServiceUnavailable},
	{"expired", ErrExpired, http.StatusServiceUnavailable},
	{"abandoned", ErrAbandoned, http.StatusServiceUnavailable},
	{"bad_request", ErrBadRequest, http.StatusBadRequest},
	{"not_found", ErrNotFound, http.StatusNotFound},
	{"conflict", ErrConflict, http.StatusConflict},
	{"too_large", ErrTooLarge, http.StatusInternalServerError},
	{"full", ErrFull, http.StatusInsufficientStorage},
	{"unavailable", ErrUnavailable, http.StatusServiceUnavailable},
	{"no_responders", nats.ErrNoResponders, http.StatusServiceUnavailable},
	{"timeout", context.DeadlineExceeded, http.StatusServiceUnavailable},
	{"timeout", nats.ErrTimeout, http.StatusServiceUnavailable},
	{"disconnected", nats.ErrConnectionClosed, http.StatusServiceUnavailable},
	{"disconnected", nats.ErrConnectionReconnecting, http.StatusServiceUnavailable},
	{"disconnected", nats.ErrDisconnected, http.StatusServiceUnavailable},
	{"disconnected", nats.ErrConnectionDraining, http.StatusServiceUnavailable},
	{"disconnected", nats.ErrReconnectBufExceeded, http.StatusServiceUnavailable},
	{"internal", ErrInternal, http.StatusInternalServerError},
}

// Code is the name of err in headers, logs and metrics; "internal" for errors that are not in the table.
func Code(err error) string {
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	return "internal"
}

// Status is the HTTP status for err.
func Status(err error) int {
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.status
		}
	}
	return http.StatusInternalServerError
}

// ErrorMsg makes the reply for err: the code in HeaderCode, and status and text in the headers of NATS services, so
// that any client of the bus sees them. The text is the table's or an [InputError]'s. It never contains the cause,
// which only the renderer logs.
func ErrorMsg(subject string, err error) *nats.Msg {
	msg := nats.NewMsg(subject)
	text := ErrInternal
	for _, c := range codes {
		if errors.Is(err, c.err) {
			text = c.err
			break
		}
	}
	msg.Header.Set(HeaderCode, Code(err))
	msg.Header.Set(micro.ErrorHeader, text.Error())
	msg.Header.Set(micro.ErrorCodeHeader, strconv.Itoa(Status(err)))
	if input, ok := errors.AsType[*InputError](err); ok {
		msg.Header.Set(HeaderDetail, input.Error())
		msg.Header.Set(micro.ErrorHeader, input.Error())
	}
	return msg
}

// ErrorOf returns the error in a reply, nil for one with an envelope or with an action's changes. It wraps one of
// this package's errors, or an [InputError].
func ErrorOf(msg *nats.Msg) error {
	code := msg.Header.Get(HeaderCode)
	if code == "" {
		return nil
	}
	for _, c := range codes {
		if c.code != code {
			continue
		}
		if field, problem, ok := strings.Cut(msg.Header.Get(HeaderDetail), " "); ok && errors.Is(c.err, ErrBadRequest) {
			return fmt.Errorf("renderer %s: %w", msg.Header.Get(HeaderWorker), &InputError{field, problem})
		}
		return fmt.Errorf("renderer %s: %w", msg.Header.Get(HeaderWorker), c.err)
	}
	return fmt.Errorf("renderer %s says %q: %w", msg.Header.Get(HeaderWorker), code, ErrInternal)
}
