package renderer

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/wire"
)

// actionTimeout is how long an action may wait for Postgres: longer than a restart takes, and than two statements
// that wait for a lock until their timeout. A requester that gets an error retries with the same key, perhaps at
// another renderer.
const actionTimeout = 5 * time.Second

// action is a request to change something.
type action struct {
	key    string
	change change
}

// change makes a change, once for its key, and returns the scopes that it changed. The form was checked before.
type change func(ctx context.Context, rows *store.Store, key string) ([]store.Change, error)

// actionEndpoints lists the actions and the parsers of their forms. Endpoint names cannot contain a dot: "photo.edit"
// is "photo-edit".
func actionEndpoints(workers *pool) []*endpoint {
	var all []*endpoint
	for _, a := range [...]struct {
		name  string
		parse func(name string, data []byte) (change, error)
	}{
		{wire.ActionPhotoEdit, parsePhotoEdit},
		{wire.ActionPhotoDelete, parsePhotoDelete},
		{wire.ActionPhotoPrivacy, parsePhotoPrivacy},
	} {
		all = append(all, &endpoint{
			name: strings.ReplaceAll(a.name, ".", "-"), subjects: []string{wire.ActionSubject(a.name)}, pool: workers,
			parse: func(m *nats.Msg) (parsed, error) {
				key, err := keyOf(m)
				if err != nil {
					return parsed{}, err
				}
				change, err := a.parse(a.name, m.Data)
				if err != nil {
					return parsed{}, err
				}
				return parsed{action: &action{key, change}, limit: wire.ActionDeadline}, nil
			},
		})
	}
	return all
}

func parsePhotoEdit(name string, data []byte) (change, error) {
	f, err := parseForm(name, data, "id", "title", "description")
	if err != nil {
		return nil, err
	}
	id, err := f.id()
	if err != nil {
		return nil, err
	}
	var edit store.Edit
	if edit.Title, err = f.line("title", maxTitle); err != nil {
		return nil, err
	}
	if edit.Description, err = f.prose("description", maxDescription); err != nil {
		return nil, err
	}
	if edit == (store.Edit{}) {
		return nil, wrong(formField, "changes nothing: give a title, a description or both")
	}
	return func(ctx context.Context, rows *store.Store, key string) ([]store.Change, error) {
		return rows.EditPhoto(ctx, key, id, edit)
	}, nil
}

func parsePhotoDelete(name string, data []byte) (change, error) {
	f, err := parseForm(name, data, "id")
	if err != nil {
		return nil, err
	}
	id, err := f.id()
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, rows *store.Store, key string) ([]store.Change, error) {
		return rows.DeletePhoto(ctx, key, id)
	}, nil
}

func parsePhotoPrivacy(name string, data []byte) (change, error) {
	f, err := parseForm(name, data, "id", "private")
	if err != nil {
		return nil, err
	}
	id, err := f.id()
	if err != nil {
		return nil, err
	}
	private, err := f.flag("private")
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, rows *store.Store, key string) ([]store.Change, error) {
		return rows.SetPhotoPrivate(ctx, key, id, private)
	}, nil
}

// answerActions is a turn of an action worker. Each turn has one action: no two actions are the same request.
func (s *Service) answerActions(ctx context.Context, jobs []*job) {
	for _, g := range s.begin(s.actions, jobs) {
		s.answerAction(ctx, g[0])
	}
}

// answerAction makes the change and replies once it is committed. If the reply is lost, the requester retries and
// gets what was stored under the key.
func (s *Service) answerAction(ctx context.Context, j *job) {
	ctx, cancel := s.context(ctx, [][]*job{{j}})
	defer cancel()
	begun := time.Now()
	var changes []store.Change
	err := s.untilOutage(ctx, actionTimeout, func(ctx context.Context) (err error) {
		changes, err = j.action.change(ctx, s.store, j.action.key)
		return err
	})
	j.work.timing.SQL = time.Since(begun)
	if store.IsFull(err) {
		err = fmt.Errorf("%w: %w", wire.ErrFull, err)
	}
	if err != nil {
		s.fail([]*job{j}, err)
		return
	}
	s.relay.wake()
	s.confirm(j, changes)
}
