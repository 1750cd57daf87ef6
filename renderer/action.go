package renderer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/a-h/templ"
	"github.com/nats-io/nats.go"

	"flickrkillr/renderer/pictures"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/wire"
)

// actionTimeout is how long an action may wait for Postgres: longer than a restart takes, and than two statements
// that wait for a lock until their timeout. A requester that gets an error retries with the same key, perhaps at
// another renderer.
const actionTimeout = 5 * time.Second

// action is a request that concerns one person or one attempt: a change, or a page for one visitor. It is answered
// alone, and no answer is used twice.
type action struct {
	run     actionFunc
	dropped bool   // it changes nothing, and is dropped when its visitor has left
	link    string // the page.Share.ID of the link by which its visitor came; "": none
}

// actionFunc does what was asked.
type actionFunc func(ctx context.Context, d *actionRun) (*outcome, error)

// actionRun is one run of an action.
type actionRun struct {
	*Service
	picture getPicture    // which this worker may use; nil: it gets none
	sql     time.Duration // that Postgres has taken so far
}

// fromRows asks Postgres, which is waited for as long as an action may. What else an action does, such as hashing a
// password, has no part in that time.
func fromRows[T any](
	ctx context.Context, d *actionRun, ask func(ctx context.Context) (T, error),
) (answer T, err error) {
	begun := time.Now()
	err = d.untilOutage(ctx, actionTimeout, func(ctx context.Context) (err error) {
		answer, err = ask(ctx)
		return err
	})
	d.sql += time.Since(begun)
	return answer, err
}

// outcome is what an action has done.
type outcome struct {
	changes []store.Change
	account *wire.Account   // whose password was checked or set; nil: nobody's
	receipt string          // the id of a receipt; "": there is none
	seen    string          // who sees the photo that was changed, see wire.HeaderVisibility; "": it does not matter
	grant   string          // proves that the password of a link was given; "": it was not
	owner   int64           // to whom what is added by a link belongs; 0: nothing is
	view    templ.Component // the page to answer with; nil: the changes are the answer
	refused problems        // what was wrong with the form, which view shows; nil: nothing

	data      []byte // the answer about an upload; nil: the changes are the answer
	photo     int64  // what an upload has become; 0: nothing yet
	duplicate bool   // which the person had before
	then      func() // what is done once the answer is sent; nil: nothing
}

// change makes a change, once for its key, and returns the scopes that it changed. The form was checked before.
type change func(ctx context.Context, rows *store.Store, key string) ([]store.Change, error)

// actionEndpoints lists the actions on photos and the parsers of their forms. Endpoint names cannot contain a dot:
// "photo.edit" is "photo-edit".
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
				run := func(ctx context.Context, d *actionRun) (*outcome, error) {
					changes, err := fromRows(ctx, d, func(ctx context.Context) ([]store.Change, error) {
						return change(ctx, d.store, key)
					})
					return &outcome{changes: changes}, err
				}
				return parsed{action: &action{run: run}, limit: wire.ActionDeadline}, nil
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
	var problem *wire.InputError
	if edit.Title, problem = f.line("title", maxTitle); problem != nil {
		return nil, problem
	}
	if edit.Description, problem = f.prose("description", maxDescription); problem != nil {
		return nil, problem
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

// answerActionsOf is a turn of a worker for actions. Each turn has one action: no two actions are the same request.
func (s *Service) answerActionsOf(ctx context.Context, p *pool, jobs []*job) {
	for _, g := range s.begin(p, jobs) {
		s.answerAction(ctx, g[0], nil)
	}
}

// answerAction makes the change and replies once it is committed. If the reply is lost, the requester retries and
// gets what was stored under the key. It returns false, and answers nothing, if picture does not have the picture that
// was asked for, which must be made first.
func (s *Service) answerAction(ctx context.Context, j *job, picture getPicture) bool {
	ctx, cancel := s.context(ctx, [][]*job{{j}})
	defer cancel()
	d := &actionRun{Service: s, picture: picture}
	out, err := j.action.run(ctx, d)
	j.work.timing.SQL = d.sql
	if errors.Is(err, pictures.ErrNotStored) {
		return false
	}
	switch {
	case store.IsFull(err):
		err = fmt.Errorf("%w: %w", wire.ErrFull, err)
	case errors.Is(err, pictures.ErrUnavailable):
		err = toWireError(err)
	}
	if err != nil {
		s.fail([]*job{j}, unlessAbandoned(ctx, err))
		return true
	}
	var html []byte
	if out.view != nil {
		begun := time.Now()
		buf := s.buffer()
		defer s.recycle(buf)
		if err := contained(func() error { return out.view.Render(ctx, buf) }); err != nil {
			s.fail([]*job{j}, fmt.Errorf("render: %w", err))
			return true
		}
		html = buf.Bytes()
		j.work.timing.Render = time.Since(begun)
	}
	if out.refused != nil {
		j.work.refusal = html
		s.fail([]*job{j}, out.refused)
		return true
	}
	if len(out.changes) > 0 {
		s.relay.wake()
	}
	s.confirm(j, out, html)
	if out.then != nil {
		out.then()
	}
	return true
}
