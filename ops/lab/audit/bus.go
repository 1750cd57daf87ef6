package audit

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

// action is the name of the change on the bus, or "" if there is no such action.
func (c *change) action() string {
	switch c.what {
	case "titling":
		return wire.ActionPhotoEdit
	case "deleting":
		return wire.ActionPhotoDelete
	case "publishing", "hiding":
		return wire.ActionPhotoPrivacy
	}
	return ""
}

func (c *change) form() url.Values {
	form := url.Values{"id": {strconv.FormatInt(c.photo.id, 10)}}
	switch c.what {
	case "titling":
		form.Set("title", markerTitle(c.photo.id, c.next.write))
	case "publishing", "hiding":
		form.Set("private", strconv.FormatBool(!c.next.public))
	}
	return form
}

// checkActions checks that a renderer answers actions, with one that is refused because it names no photo.
func (a *audit) checkActions(ctx context.Context) error {
	if a.cfg.BusShare <= 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	msg := nats.NewMsg(wire.ActionSubject(wire.ActionPhotoEdit))
	msg.Header.Set(wire.HeaderKey, nuid.Next())
	if _, err := a.cfg.NATS.RequestMsgWithContext(ctx, msg); err != nil {
		return fmt.Errorf("audit: no renderer answers actions, so all writes must go by psql: %w", err)
	}
	return nil
}

// attemptTimeout is how long one request for an action waits. The next request has the same key, so the action is done
// once. A renderer that is frozen for longer finds requests that others have answered when it wakes.
const attemptTimeout = time.Second

// writeByBus makes a change by an action, as an edge does for a visitor. The reply names the versions that it raised.
func (a *audit) writeByBus(ctx context.Context, c *change) (outcome, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.untilAnswer())
	defer cancel()
	for {
		done, err := a.act(ctx, c)
		if err == nil || !isTransient(err) {
			return done, err
		}
		if !sleep.For(ctx, 20*time.Millisecond) {
			return outcome{}, err
		}
	}
}

// isTransient reports whether an action may succeed when it is repeated.
func isTransient(err error) bool {
	for _, final := range []error{wire.ErrBadRequest, wire.ErrNotFound, wire.ErrConflict} {
		if errors.Is(err, final) {
			return false
		}
	}
	return true
}

func (a *audit) act(ctx context.Context, c *change) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	msg := nats.NewMsg(wire.ActionSubject(c.action()))
	msg.Data = []byte(c.form().Encode())
	msg.Header.Set(wire.HeaderKey, c.key)
	msg.Header.Set(wire.HeaderRequest, c.key)
	msg.Header.Set(wire.HeaderDeadline, wire.FormatTime(time.Now().Add(a.world.ahead+attemptTimeout)))
	reply, err := a.cfg.NATS.RequestMsgWithContext(ctx, msg)
	if err == nil {
		err = wire.ErrorOf(reply)
	}
	if err != nil {
		return outcome{}, fmt.Errorf("%s %d: %w", msg.Subject, c.photo.id, err)
	}
	changes, err := wire.DecodeChanges(reply.Data)
	if err != nil {
		return outcome{}, fmt.Errorf("%s %d: %w", msg.Subject, c.photo.id, err)
	}
	var done outcome
	for _, ch := range changes {
		switch ch.Scope {
		case "user." + c.photo.owner.name:
			done.version, done.after = ch.Version, ch.Version-1
		case "photo." + strconv.FormatInt(c.photo.id, 10):
			done.scope = ch.Version
		}
	}
	if done.version == 0 {
		return outcome{}, fmt.Errorf(
			"%s %d: the reply names no version of user.%s: %w", msg.Subject, c.photo.id, c.photo.owner.name,
			wire.ErrBadRequest,
		)
	}
	return done, nil
}
