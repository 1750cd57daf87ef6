package renderer

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/renderer/password"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

// deleteAccount deletes an account. Its receipt has an address that follows from the key of the form, which only that
// person's browser has. So a form that is sent again finds the receipt, though account and session are gone by then.
func deleteAccount(ctx context.Context, d *actionRun, a attempt) (*outcome, error) {
	receipt := receiptID(a.key)
	done, err := d.deletionOf(ctx, receipt)
	if err == nil && (a.user == 0 || a.user == done.User) {
		change := store.Change{Scope: done.Scope(), Version: done.Version, Gone: true}
		return &outcome{changes: []store.Change{change}, receipt: receipt}, nil
	}
	if err == nil {
		return nil, toWireError(store.ErrConflict)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	account, err := d.accountOf(ctx, a.user)
	if err != nil {
		return nil, err
	}
	if err := checkOwn(account, a.form, "password"); err != nil {
		return nil, err
	}
	sessions, err := strconv.ParseUint(a.form["sessions"], 10, 10)
	if err != nil {
		sessions = 0 // not known
	}
	changes, err := fromRows(ctx, d, func(ctx context.Context) ([]store.Change, error) {
		return d.store.DeleteAccount(ctx, a.key, a.user, account.Password, receiptHash(receipt), int(sessions))
	})
	if errors.Is(err, store.ErrChanged) {
		return nil, wrong("password", "was changed just now: sign in again")
	}
	if err != nil {
		return nil, err
	}
	return &outcome{changes: changes, receipt: receipt}, nil
}

// checkOwn checks the password that a person who is signed in has typed.
func checkOwn(account *store.Account, f form, field string) error {
	typed, problem := f.typedPassword(field)
	if problem != nil {
		return problem
	}
	ok, err := password.Verify(account.Password, typed)
	if err != nil {
		return err
	}
	if !ok {
		return wrong(field, "is not the one that holds: check it")
	}
	return nil
}

// receiptID is the secret in the address of a receipt: 26 characters, 128 bits.
func receiptID(key string) string {
	sum := sha256.Sum256([]byte("receipt " + key))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16]))
}

// receiptHash is what is stored of it.
func receiptHash(id string) []byte {
	sum := sha256.Sum256([]byte(id))
	return sum[:]
}

func (d *actionRun) deletionOf(ctx context.Context, receipt string) (*store.Deletion, error) {
	return fromRows(ctx, d, func(ctx context.Context) (*store.Deletion, error) {
		return d.store.DeletionOf(ctx, receiptHash(receipt))
	})
}

// receipt says what has become of an account that was deleted, and what of it is left, now.
func (d *actionRun) receipt(ctx context.Context, id string) (templates.Receipt, error) {
	done, err := d.deletionOf(ctx, id)
	if err != nil {
		return templates.Receipt{}, err
	}
	known, missing := d.askEdges(ctx, done)
	if len(known) > 0 {
		if _, err = fromRows(ctx, d, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, d.store.EdgesLearned(ctx, done.User, known)
		}); err != nil {
			return templates.Receipt{}, err
		}
	}
	for edge, at := range done.Edges { // what an edge has said first counts
		known[edge] = at
	}
	r := templates.Receipt{
		Name: done.Name, Scope: done.Scope(), Version: done.Version, DeletedAt: done.At, RowsGoneAt: done.RowsGoneAt,
		SessionsEndedAt: done.RevokedAt, NameKeptUntil: done.KeptUntil, ReadableUntil: done.At.Add(wire.ReceiptAge),
		Removed: templates.Holdings(done.Had), Sessions: done.Sessions, PhotosLeft: done.PhotosLeft,
		FilesRemoved: done.FilesRemoved, FilesKept: done.FilesKept, Photos: done.PhotoIDs, Albums: done.AlbumIDs,
		Edges: []templates.EdgeKnows{}, // in JSON an empty list, not null
	}
	for _, edge := range slices.Sorted(maps.Keys(known)) {
		r.Edges = append(r.Edges, templates.EdgeKnows{Edge: edgeName(edge), Since: known[edge]})
	}
	for _, edge := range missing {
		if _, ok := known[edge]; !ok {
			r.Edges = append(r.Edges, templates.EdgeKnows{Edge: edgeName(edge)})
		}
	}
	r.Complete = r.FilesLeft() == 0 && !r.RowsGoneAt.IsZero() && !r.SessionsEndedAt.IsZero() &&
		!slices.ContainsFunc(r.Edges, func(e templates.EdgeKnows) bool { return e.Since.IsZero() })
	return r, nil
}

// How long edges are waited for: those that are listed, and after the last answer those that are not.
const (
	edgesListed = 500 * time.Millisecond
	edgesOthers = 30 * time.Millisecond
)

// askEdges asks every edge since when it has shown nothing of a person who is gone. missing are those that have not
// answered although they have a popularity list, which they have for a day after they were there last, and those that
// may still show something.
func (d *actionRun) askEdges(ctx context.Context, done *store.Deletion) (known map[string]time.Time, missing []string) {
	known = map[string]time.Time{}
	silent := map[string]bool{}
	for _, edge := range d.listedEdges(ctx) {
		silent[edge] = true
	}
	question, err := wire.GoneQuestion{Scope: done.Scope(), Version: done.Version, At: done.At}.Encode()
	if err == nil {
		err = d.gather(ctx, wire.SubjectGone, question, func(m *nats.Msg) (complete bool) {
			answer, err := wire.DecodeGoneAnswer(m.Data)
			switch {
			case err != nil:
				d.log.Debug("cannot read what an edge says", "err", err)
				return false
			case answer.Since.IsZero():
				silent[answer.Edge] = true
			default:
				known[answer.Edge] = answer.Since
				delete(silent, answer.Edge)
			}
			return len(silent) == 0
		})
	}
	if err != nil {
		d.log.Warn("cannot ask the edges what they know", "err", err)
	}
	return known, slices.Sorted(maps.Keys(silent))
}

// gather sends a request and takes answers until take says that all have come, and no other one comes for a moment.
func (s *Service) gather(ctx context.Context, subject string, data []byte, take func(*nats.Msg) (complete bool)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	inbox := s.nc.NewInbox()
	sub, err := s.nc.SubscribeSync(inbox)
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }() // a closed connection has ended it
	if err := s.nc.PublishRequest(subject, inbox, data); err != nil {
		return err
	}
	end := time.AfterFunc(edgesListed, cancel)
	defer end.Stop()
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil || len(m.Data) == 0 { // time is up, or no edge is there
			return nil //nolint:nilerr // who has not answered is named
		}
		if take(m) {
			end.Reset(edgesOthers)
		}
	}
}

// listedEdges lists the edges that have a popularity list.
func (s *Service) listedEdges(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, bucketLimit)
	defer cancel()
	kv, err := s.relay.js.KeyValue(ctx, wire.BucketPopular)
	if err != nil {
		return nil // there is none yet
	}
	edges, err := kv.Keys(ctx, jetstream.MetaOnly())
	if err != nil && !errors.Is(err, jetstream.ErrNoKeysFound) {
		s.log.Warn("cannot list the edges", "err", err)
	}
	return edges
}

// edgeName makes the key of a popularity list readable: "edge.host.8080" is "host:8080".
func edgeName(key string) string {
	name := strings.TrimPrefix(key, "edge.")
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		name = name[:i] + ":" + name[i+1:]
	}
	return name
}

// asJSON is an answer for programs.
func asJSON(v any) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(v)
	})
}
