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

	"flickrkillr/schema/wire"
)

// action names what a change is on the bus; "" when there is no such action.
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
		form.Set("title", mark(c.photo.id, c.next.write))
	case "publishing", "hiding":
		form.Set("private", strconv.FormatBool(!c.next.public))
	}
	return form
}

// takesActions checks that somebody listens to actions, by one that is refused: it says no photo.
func (a *audit) takesActions(ctx context.Context) error {
	if a.cfg.BusShare <= 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	msg := nats.NewMsg(wire.ActionSubject(wire.ActionPhotoEdit))
	msg.Header.Set(wire.HeaderKey, nuid.Next())
	if _, err := a.cfg.NATS.RequestMsgWithContext(ctx, msg); err != nil {
		return fmt.Errorf("audit: no renderer takes actions, so all writes must go by psql: %w", err)
	}
	return nil
}

// attempt is how long one request of an action waits; the next one has the same key, so that what was done is not done
// twice.
const attempt = 3 * time.Second

// byBus makes a change by an action, as an edge does for a visitor. Its reply says exactly what it raised.
func (a *audit) byBus(ctx context.Context, c *change) (outcome, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	for {
		done, err := a.act(ctx, c)
		if err == nil || !again(err) {
			return done, err
		}
		select {
		case <-ctx.Done():
			return outcome{}, err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// again reports whether an action may succeed when it is repeated.
func again(err error) bool {
	for _, final := range []error{wire.ErrBadRequest, wire.ErrNotFound, wire.ErrConflict} {
		if errors.Is(err, final) {
			return false
		}
	}
	return true
}

func (a *audit) act(ctx context.Context, c *change) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	msg := nats.NewMsg(wire.ActionSubject(c.action()))
	msg.Data = []byte(c.form().Encode())
	msg.Header.Set(wire.HeaderKey, c.key)
	msg.Header.Set(wire.HeaderRequest, c.key)
	msg.Header.Set(wire.HeaderDeadline, wire.FormatTime(time.Now().Add(a.world.ahead+attempt)))
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
