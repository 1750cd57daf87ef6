package renderer

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
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
	out, err := deletedBefore(ctx, d, a)
	if !errors.Is(err, store.ErrNotFound) {
		return out, err
	}
	account, err := d.accountOf(ctx, a.user)
	if errors.Is(err, store.ErrNotFound) { // the same form, sent twice at once, may just have deleted it
		return deletedBefore(ctx, d, a)
	}
	if err != nil {
		return nil, err
	}
	if err := checkOwn(account, a.form, "password"); err != nil {
		return nil, err
	}
	receipt := receiptID(a.key)
	changes, err := fromRows(ctx, d, func(ctx context.Context) ([]store.Change, error) {
		return d.store.DeleteAccount(ctx, a.key, a.user, account.Password, receiptHash(receipt),
			a.form.known("sessions"), a.form.known("tokens"))
	})
	if errors.Is(err, store.ErrChanged) {
		return nil, wrong("password", "was changed just now: sign in again")
	}
	if err != nil {
		return nil, err
	}
	return &outcome{changes: changes, receipt: receipt}, nil
}

// deletedBefore is the outcome of a deletion by an earlier attempt, or store.ErrNotFound.
func deletedBefore(ctx context.Context, d *actionRun, a attempt) (*outcome, error) {
	receipt := receiptID(a.key)
	done, err := d.deletionOf(ctx, receipt)
	if err != nil {
		return nil, err
	}
	if a.user != 0 && a.user != done.User {
		return nil, toWireError(store.ErrConflict)
	}
	change := store.Change{Scope: done.Scope(), Version: done.Version, Gone: true}
	return &outcome{changes: []store.Change{change}, receipt: receipt}, nil
}

// known is a count that a form has shown; 0 if it has none.
func (f form) known(field string) int {
	n, err := strconv.ParseUint(f[field], 10, 10)
	if err != nil {
		return 0
	}
	return int(n)
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

// receipt says what has become of an account that was deleted, and what of it is left. It reads one row: the renderer
// that relays asks the edges, however often somebody reads a receipt.
func (d *actionRun) receipt(ctx context.Context, id string) (templates.Receipt, error) {
	done, err := d.deletionOf(ctx, id)
	if err != nil {
		return templates.Receipt{}, err
	}
	r := templates.Receipt{
		Name: done.Name, Scope: done.Scope(), Version: done.Version, DeletedAt: done.At, RowsGoneAt: done.RowsGoneAt,
		SessionsEndedAt: done.RevokedAt, NameKeptUntil: done.KeptUntil, ReadableUntil: done.At.Add(wire.ReceiptAge),
		Removed: templates.Holdings(done.Had), Sessions: done.Sessions, Tokens: done.Tokens,
		FilesRemoved: done.FilesRemoved, FilesKept: done.FilesKept, Photos: done.PhotoIDs, Albums: done.AlbumIDs,
		FilesGoneAt: done.FilesGoneAt, FreedFiles: done.FreedFiles, FreedBytes: done.FreedBytes, Edges: edgesOf(done),
	}
	r.Complete = r.FilesLeft() == 0 && !r.RowsGoneAt.IsZero() && !r.SessionsEndedAt.IsZero() &&
		!done.EdgesKnowAt.IsZero()
	return r, nil
}

// edgesOf lists what the edges know of a deletion.
func edgesOf(done *store.Deletion) []templates.EdgeKnows {
	edges := []templates.EdgeKnows{} // in JSON an empty list, not null
	for _, edge := range slices.Sorted(maps.Keys(done.Edges)) {
		edges = append(edges, templates.EdgeKnows{Edge: edgeName(edge), Since: done.Edges[edge]})
	}
	return edges
}

// How long edges are waited for: those that are listed, and after the last answer those that are not.
const (
	edgesListed = 500 * time.Millisecond
	edgesOthers = 30 * time.Millisecond
)

// deletionsAtOnce bounds the deletions that edges are asked about at the same time. So an edge that is silent delays
// many receipts by what it delays one.
const deletionsAtOnce = 32

// askEdges asks every edge since when it has shown nothing of what is gone, for some deletions of which that is not
// known, at the same time. more reports whether there was one.
func (s *Service) askEdges(ctx context.Context) (more bool, err error) {
	unknown, err := s.store.NextUnknown(ctx, deletionsAtOnce)
	if err != nil || len(unknown) == 0 {
		return false, err
	}
	listed, failed := s.listedEdges(ctx)
	said := make([]edgesSaid, len(unknown))
	var all sync.WaitGroup
	for i := range unknown {
		all.Go(func() { said[i] = s.askEdgesOf(ctx, &unknown[i], listed) })
	}
	all.Wait()
	for i, e := range said { // one after the other: pages need connections to Postgres, too
		// With no answer at all, the edges are rather away than none.
		whole := failed == nil && e.err == nil && e.answers > 0
		err = errors.Join(err, e.err,
			s.store.EdgesLearned(ctx, unknown[i].ID, e.known, slices.Sorted(maps.Keys(e.silent)), whole))
	}
	return true, errors.Join(failed, err)
}

// edgesSaid is what edges have said about a deletion.
type edgesSaid struct {
	known   map[string]time.Time // since when each shows nothing of it
	silent  map[string]bool      // those that are listed and do not answer, and those that may still show something
	answers int
	err     error
}

// askEdgesOf asks every edge about one deletion. Listed are the edges that have a popularity list, which stays for a
// day.
func (s *Service) askEdgesOf(ctx context.Context, gone *store.Unknown, listed []string) edgesSaid {
	said := edgesSaid{known: map[string]time.Time{}, silent: map[string]bool{}}
	for _, edge := range listed {
		said.silent[edge] = true
	}
	for _, edge := range gone.Known {
		delete(said.silent, edge)
	}
	var question []byte
	question, said.err = wire.GoneQuestion{Scope: gone.Scope(), Version: gone.Version, At: gone.At}.Encode()
	if said.err != nil {
		return said
	}
	said.err = s.gather(ctx, wire.SubjectGone, question, func(m *nats.Msg) (complete bool) {
		answer, err := wire.DecodeGoneAnswer(m.Data)
		switch {
		case err != nil:
			s.log.Debug("cannot read what an edge says", "err", err)
			return false
		case !answer.Since.IsZero():
			said.known[answer.Edge] = answer.Since
			delete(said.silent, answer.Edge)
		case !slices.Contains(gone.Known, answer.Edge):
			said.silent[answer.Edge] = true
		}
		said.answers++
		return len(said.silent) == 0
	})
	return said
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
func (s *Service) listedEdges(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, bucketLimit)
	defer cancel()
	kv, err := s.relay.js.KeyValue(ctx, wire.BucketPopular)
	if err != nil {
		return nil, fmt.Errorf("list the edges: %w", err)
	}
	edges, err := kv.Keys(ctx, jetstream.MetaOnly())
	if err != nil && !errors.Is(err, jetstream.ErrNoKeysFound) {
		return nil, fmt.Errorf("list the edges: %w", err)
	}
	return edges, nil
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
