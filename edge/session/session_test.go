package session

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
	"flickrkillr/schema/wire"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// bus is a server with the stores of several edges.
type bus struct {
	t      testing.TB
	server *stack.NATS
	clock  *wire.Clock
	awake  atomic.Int64 // for how long the stores have run without a pause
}

func newBus(t testing.TB) *bus {
	t.Helper()
	clock := &wire.Clock{}
	clock.Observe(wire.Heartbeat{Time: time.Now()}, time.Now())
	b := &bus{t: t, server: testenv.NATSServer(t), clock: clock}
	b.awake.Store(int64(time.Hour))
	return b
}

// edge runs a store until the test ends.
func (b *bus) edge() *Store {
	b.t.Helper()
	return b.edgeWith(b.clock)
}

// edgeWith is edge with a clock of its own.
func (b *bus) edgeWith(clock *wire.Clock) *Store {
	b.t.Helper()
	s := New(Config{NATS: testenv.ConnectAs(b.t, b.server.URL(), wire.RoleEdge), Clock: clock,
		Awake: func() time.Duration { return time.Duration(b.awake.Load()) },
		Log:   slog.New(slog.DiscardHandler), Capacity: 100})
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.t.Context()))
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	b.t.Cleanup(func() { cancel(); running.Wait() })
	eventually(b.t, "the bucket is open", func() bool { return s.Ready() == nil })
	return s
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	testenv.Within(t, 20*time.Second, what, ok)
}

// ansel is an account whose password was set some time ago.
func ansel() wire.Account {
	return wire.Account{User: 7, Name: "ansel", PasswordAt: time.UnixMicro(1795463000123456)}
}

func (b *bus) begin(s *Store, a wire.Account) string {
	b.t.Helper()
	token, err := s.Begin(b.t.Context(), a, "Mozilla/5.0 (X11; Linux x86_64) Firefox/130.0")
	if err != nil {
		b.t.Fatal(err)
	}
	return token
}

// has reports whether a token has a session at an edge.
func has(t testing.TB, s *Store, token string) bool {
	t.Helper()
	v, _, err := s.Find(t.Context(), token)
	if err != nil && !errors.Is(err, ErrNone) {
		t.Fatal(err)
	}
	return err == nil && v.Session != nil
}

// TestSessions: a session that one edge begins is known to all, and refused by all once one of them ends it.
func TestSessions(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	edges := []*Store{b.edge(), b.edge()}
	token, other := b.begin(edges[0], ansel()), b.begin(edges[1], ansel())
	stranger := b.begin(edges[0], wire.Account{User: 70, Name: "dorothea", PasswordAt: time.Now()})
	for i, s := range edges {
		v, _, err := s.Find(t.Context(), token)
		if err != nil || v.Name != "ansel" || v.User != 7 || v.Agent != "Firefox on Linux" || v.Unverified {
			t.Errorf("edge %d: %+v, %v", i, v.Session, err)
		}
		if !has(t, s, other) || !has(t, s, stranger) {
			t.Errorf("edge %d does not know a session", i)
		}
		if kept, _ := keyOf(token); s.known.get(kept) == nil {
			t.Errorf("edge %d does not keep the session", i)
		}
	}
	list, err := edges[1].List(t.Context(), 7)
	ids := []string{IDOf(token), IDOf(other)}
	if err != nil || len(list) != 2 || !slices.Contains(ids, list[0].ID) || !slices.Contains(ids, list[1].ID) {
		t.Errorf("the list of sessions: %+v, %v", list, err)
	}
	if err := edges[0].End(t.Context(), 70, IDOf(token)); !errors.Is(err, ErrNone) {
		t.Errorf("another person ends the session: %v", err)
	}
	if err := edges[0].End(t.Context(), 7, "u.7.x"); !errors.Is(err, ErrNone) {
		t.Errorf("an id that is none: %v", err)
	}
	if err := edges[0].End(t.Context(), 7, IDOf(token)); err != nil {
		t.Fatal(err)
	}
	if has(t, edges[0], token) {
		t.Error("the edge that ended a session takes it")
	}
	ended, _ := keyOf(token)
	eventually(t, "the other edge has dropped it", func() bool { return edges[1].known.get(ended) == nil })
	if has(t, edges[1], token) || !has(t, edges[1], other) {
		t.Error("the other edge refuses another session")
	}
	if err := edges[1].EndAll(t.Context(), 7); err != nil {
		t.Error(err)
	}
	if has(t, edges[1], other) || !has(t, edges[1], stranger) {
		t.Error("not exactly the sessions of one user have ended")
	}
}

// TestPause: an edge that did not run reads its sessions again before they count. Its watcher may be as late as it is.
func TestPause(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	s := b.edge()
	token := b.begin(s, ansel())
	v, _, err := s.Find(t.Context(), token)
	if err != nil || s.SignOut(t.Context(), v) != nil {
		t.Fatal(err)
	}
	eventually(t, "the edge refuses the session", func() bool { return !has(t, s, token) })
	k, _ := keyOf(token)
	eventually(t, "the session is kept, as if the watcher had not told", func() bool {
		began := s.known.begin(k)
		began.revoked = s.known.revocations(v.User)
		return s.known.put(k, began, v.Session) && has(t, s, token)
	})
	b.awake.Store(0)
	if has(t, s, token) {
		t.Error("a session that ended during a pause counts")
	}
}

// TestForeignTokens: what somebody made up is no session, and costs one request of the bucket.
func TestForeignTokens(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	s := b.edge()
	planted, _ := newToken()
	for _, token := range []string{"", "x", planted, strings.Repeat("a", 8000), "u.7", planted[1:] + "é"} {
		if has(t, s, token) {
			t.Errorf("%.50q is a session", token)
		}
	}
}

// TestNoSecretInBucket: neither keys nor values of the bucket have the token.
func TestNoSecretInBucket(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	s := b.edge()
	token := b.begin(s, ansel())
	kv, err := s.open()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := kv.Keys(t.Context())
	if err != nil || len(keys) != 3 {
		t.Fatalf("keys %v, %v", keys, err)
	}
	for _, at := range keys {
		entry, err := kv.Get(t.Context(), at)
		if err != nil || strings.Contains(at+string(entry.Value()), token) {
			t.Errorf("%s: %s, %v", at, entry.Value(), err)
		}
	}
}

// TestNewPassword: a new password ends all sessions but one, and one that begins with the old password meanwhile.
func TestNewPassword(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	s := b.edge()
	before := ansel()
	old := b.begin(s, before)
	after := before
	after.PasswordAt = time.Now()
	kept := b.begin(s, after)
	if has(t, s, old) || !has(t, s, kept) {
		t.Error("other sessions than the old one have ended")
	}
	if token, err := s.Begin(t.Context(), before, ""); !errors.Is(err, ErrOvertaken) || token != "" {
		t.Errorf("a sign-in with the old password: %v", err)
	}
	if list, err := s.List(t.Context(), 7); len(list) != 1 || err != nil {
		t.Errorf("sessions after it: %v, %v", list, err)
	}
	b.begin(s, after)
}

// TestOneWriteRevokes: one value of the bucket ends all sessions of a user, at each edge at once, whether anybody
// removes them or not, and those sessions only.
func TestOneWriteRevokes(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	edges := []*Store{b.edge(), b.edge()}
	old := ansel()
	kv, err := edges[0].open()
	if err != nil {
		t.Fatal(err)
	}
	for what, by := range map[string]wire.Revocation{
		"a new password":      {PasswordAt: time.Now()},
		"signed out at once":  {Until: b.clock.Now().Add(time.Minute)}, // the clock of another edge is ahead
		"neither of the two":  {PasswordAt: old.PasswordAt, Until: time.Now().Add(-time.Hour)},
		"nothing, as nothing": {},
	} {
		old.User++
		token := b.begin(edges[0], old)
		dorothea := wire.Account{User: 70, Name: "dorothea", PasswordAt: old.PasswordAt}
		stranger := b.begin(edges[0], dorothea)
		if !has(t, edges[0], token) || !has(t, edges[1], token) {
			t.Fatalf("%s: no session", what)
		}
		if _, err := edges[0].revoke(t.Context(), kv, old.User, by); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(what, "n") {
			if !has(t, edges[0], token) || !has(t, edges[1], token) {
				t.Errorf("%s: the session has ended", what)
			}
			continue
		}
		eventually(t, what, func() bool { return !has(t, edges[0], token) && !has(t, edges[1], token) })
		if _, err := kv.Get(t.Context(), IDOf(token)); err != nil {
			t.Errorf("%s: the session is removed: %v", what, err)
		}
		if list, err := edges[1].List(t.Context(), old.User); len(list) != 0 || err != nil {
			t.Errorf("%s: %v, %v", what, list, err)
		}
		next := old
		next.PasswordAt = time.Now()
		if again := b.begin(edges[1], next); !has(t, edges[0], again) || !has(t, edges[0], stranger) {
			t.Errorf("%s: too much is revoked", what)
		}
		if _, err := kv.Get(t.Context(), IDOf(token)); !errors.Is(err, jetstream.ErrKeyNotFound) {
			t.Errorf("%s: what counts no more stays in the bucket: %v", what, err)
		}
	}
	// Of two writes at once neither is lost.
	early, late := time.Now().Add(time.Hour).UTC(), time.Now().Add(2*time.Hour).UTC()
	var writes sync.WaitGroup
	for i, by := range []wire.Revocation{{PasswordAt: early}, {PasswordAt: late}, {Until: early}, {Until: late}} {
		writes.Go(func() {
			if _, err := edges[i%2].revoke(t.Context(), kv, 80, by); err != nil {
				t.Error(err)
			}
		})
	}
	writes.Wait()
	got, _, err := revocationOf(t.Context(), kv, 80)
	if err != nil || !got.PasswordAt.Equal(late) || !got.Until.Equal(late) {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestManySessions: a user's sessions are bounded, and the oldest ends. One that cannot be decoded is none.
func TestManySessions(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	s := b.edge()
	var tokens []string
	for range maxOfUser + 2 {
		tokens = append(tokens, b.begin(s, ansel()))
	}
	if list, err := s.List(t.Context(), 7); len(list) != maxOfUser || err != nil {
		t.Errorf("%d sessions, %v", len(list), err)
	}
	if has(t, s, tokens[0]) || has(t, s, tokens[1]) || !has(t, s, tokens[2]) {
		t.Error("other sessions than the oldest have ended")
	}
	kv, err := s.open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), IDOf(tokens[5]), []byte("{")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what cannot be decoded is no session", func() bool { return !has(t, s, tokens[5]) })
}

// TestTokens: a form that is sent again finds its token, of many tokens at once those stay that came first, and what
// ends leaves nothing in the bucket for long.
func TestTokens(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	s := b.edge()
	make20 := func(n byte, name string) (string, error) {
		return s.BeginToken(t.Context(), ansel(), [32]byte{n}, name, true)
	}
	first, err := make20(1, "mine")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := make20(1, "mine"); again != first || err != nil {
		t.Errorf("a repetition: another token: %t, %v", again != first, err)
	}
	if _, err := make20(1, "other"); !errors.Is(err, wire.ErrConflict) {
		t.Errorf("another name: %v", err)
	}
	var all sync.WaitGroup
	for n := range byte(2 * maxTokens) {
		all.Go(func() {
			if _, err := make20(n+2, "many"); err != nil && !errors.Is(err, ErrTooMany) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	list, err := s.Tokens(t.Context(), 7)
	if err != nil || len(list) < 2 || len(list) > maxTokens+2 { // one that is half made is not counted
		t.Fatalf("%d tokens, %v", len(list), err)
	}
	kv, err := s.open()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.EndToken(t.Context(), 7, list[0].ID); err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(testenv.Connect(t, b.server.URL()))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), wire.BucketStream(kv.Bucket()))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{list[0].ID, list[0].IndexKey()} {
		marker, err := stream.GetLastMsgForSubject(t.Context(), "$KV."+kv.Bucket()+"."+key)
		if err != nil {
			t.Fatal(err)
		}
		if marker.Header.Get(jetstream.MsgTTLHeader) != wire.SessionMarkerAge.String() {
			t.Errorf("the marker of %s stays: %v", key, marker.Header)
		}
	}
}

// TestFullBucket: a full bucket takes no session any more, but each can end.
func TestFullBucket(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	js, err := jetstream.New(testenv.Connect(t, b.server.URL()))
	if err != nil {
		t.Fatal(err)
	}
	config := wire.SessionsConfig()
	config.MaxBytes = 4 << 10
	kv, err := js.CreateKeyValue(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	s := b.edge()
	first, second, third, fourth := b.begin(s, ansel()), b.begin(s, ansel()), b.begin(s, ansel()), b.begin(s, ansel())
	for n, err := 0, error(nil); err == nil; n++ { // each is smaller than a marker
		_, err = kv.Put(t.Context(), strconv.Itoa(n), nil)
	}
	if _, err := s.Begin(t.Context(), ansel(), ""); !errors.Is(err, wire.ErrUnavailable) {
		t.Fatalf("the bucket is not full: %v", err)
	}
	if err := kv.Delete(t.Context(), wire.SessionIndexKey(7, IDOf(fourth))); err != nil { // alone, as if interrupted
		t.Errorf("no entry of the index can be removed: %v", err)
	}
	if err := s.End(t.Context(), 7, IDOf(first)); err != nil || has(t, s, first) {
		t.Errorf("the session does not end: %v", err)
	}
	if err := kv.Purge(t.Context(), wire.RevocationKey(7)); err != nil { // as after 30 days
		t.Fatal(err)
	}
	if err := s.EndAll(t.Context(), 7); err != nil || has(t, s, second) || has(t, s, third) || has(t, s, fourth) {
		t.Errorf("the sessions do not end: %v", err)
	}
}

// TestReadFromLeader: an edge goes on when the bucket may be read from its leader only.
func TestReadFromLeader(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	s := b.edge()
	token := b.begin(s, ansel())
	js, err := jetstream.New(testenv.Connect(t, b.server.URL()))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), wire.BucketStream(wire.BucketSessions))
	if err != nil {
		t.Fatal(err)
	}
	changed := stream.CachedInfo().Config
	changed.AllowDirect = false
	if _, err := js.UpdateStream(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	eventually(t, "sessions are read from the leader", func() bool {
		list, err := s.List(t.Context(), 7)
		return err == nil && len(list) == 1 && has(t, s, token)
	})
}

// TestRenewal: a session that was not seen for an hour is renewed, once, and not one that ends at the same time.
func TestRenewal(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	s := b.edge()
	token := b.begin(s, ansel())
	if _, renewed, err := s.Find(t.Context(), token); renewed || err != nil {
		t.Errorf("a new session is renewed: %v", err)
	}
	b.clock.Observe(wire.Heartbeat{Time: time.Now().Add(2 * renewAfter)}, time.Now())
	v, renewed, err := s.Find(t.Context(), token)
	if !renewed || err != nil || b.clock.Now().Sub(v.Seen) > time.Minute {
		t.Errorf("not renewed: %+v, %v", v.Session, err)
	}
	if _, renewed, _ := s.Find(t.Context(), token); renewed {
		t.Error("renewed again")
	}
	ended := *v.Session
	if err := s.End(t.Context(), 7, v.ID); err != nil {
		t.Fatal(err)
	}
	if _, renewed := s.renew(t.Context(), &ended); renewed || has(t, s, token) {
		t.Error("a session that has ended was renewed")
	}
}

// TestWithoutNATS: an edge that has lost NATS keeps taking the sessions that it has seen, for reads only. NATS brings
// them back.
func TestWithoutNATS(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	s := b.edge()
	seen, unseen := b.begin(s, ansel()), b.begin(s, ansel())
	if !has(t, s, seen) {
		t.Fatal("no session")
	}
	b.server.Stop()
	eventually(t, "the connection is lost", func() bool { return !s.nc.IsConnected() })
	s.known.suspectAll()
	if v, _, err := s.Find(t.Context(), seen); err != nil || !v.Unverified || v.Name != "ansel" {
		t.Errorf("a session that was seen: %+v, %v", v, err)
	}
	if _, _, err := s.Find(t.Context(), unseen); !errors.Is(err, wire.ErrUnavailable) {
		t.Errorf("a session that was not seen: %v", err)
	}
	if _, err := s.Begin(t.Context(), ansel(), ""); !errors.Is(err, wire.ErrUnavailable) {
		t.Errorf("a new session: %v", err)
	}
	if err := b.server.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the session is there again", func() bool {
		v, _, err := s.Find(t.Context(), unseen)
		return err == nil && !v.Unverified
	})
}

// TestRemade: an edge follows a bucket that was deleted and made anew.
func TestRemade(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	edges := []*Store{b.edge(), b.edge()}
	token := b.begin(edges[0], ansel())
	if !has(t, edges[0], token) {
		t.Fatal("no session")
	}
	js, err := jetstream.New(testenv.Connect(t, b.server.URL()))
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteKeyValue(t.Context(), wire.BucketSessions); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the session is gone", func() bool {
		_, _, err := edges[0].Find(t.Context(), token)
		return errors.Is(err, ErrNone)
	})
	eventually(t, "another one can begin, and both edges know when it ends", func() bool {
		next, err := edges[0].Begin(t.Context(), ansel(), "")
		return err == nil && has(t, edges[1], next) && edges[0].End(t.Context(), 7, IDOf(next)) == nil &&
			!has(t, edges[0], next)
	})
}

// TestReadingAndEnding: a session that ends while it is read is not kept.
func TestReadingAndEnding(t *testing.T) {
	t.Parallel()
	k := newKnown(10)
	at, session := key{1}, &wire.Session{User: 7}
	began := k.begin(at)
	k.changed(at)
	if k.put(at, began, session) || k.get(at) != nil {
		t.Error("kept what had changed meanwhile")
	}
	began = k.begin(at)
	k.suspectAll()
	if k.put(at, began, session) || k.get(at) != nil {
		t.Error("kept what was read before everything was suspect")
	}
	if !k.put(at, k.begin(at), session) || k.get(at) == nil {
		t.Error("not kept")
	}
	k.suspectAll()
	if k.get(at) != nil || k.old(at) != session {
		t.Error("what is suspect counts, or is not there for when NATS is away")
	}
	for i := range 100 {
		k.put(key{2, byte(i)}, k.begin(key{2, byte(i)}), session)
	}
	for i := range 2 * maxAbsent { // made-up tokens displace no session
		made := key{3, byte(i), byte(i >> 8)}
		if !k.put(made, k.begin(made), nil) || k.get(made) == nil {
			t.Fatal("a token without a session is not kept")
		}
	}
	if last := (key{2, 99}); k.get(last) == nil || len(k.absent) > maxAbsent {
		t.Errorf("made-up tokens displace a session, or %d are kept", len(k.absent))
	}
	if n := len(k.newer) + len(k.older); n > 10 || len(k.reading) != 0 {
		t.Errorf("%d sessions are kept, %d readings under way", n, len(k.reading))
	}
}

// TestLimits: of many guesses at four edges at once no more than the allowed ones pass, and after the window as many
// again.
func TestLimits(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	edges := make([]*Limits, 4)
	for i := range edges {
		edges[i] = NewLimits(testenv.ConnectAs(t, b.server.URL(), wire.RoleEdge), b.clock)
	}
	storm := func() int64 {
		var passed atomic.Int64
		var guesses sync.WaitGroup
		for i := range 1000 {
			guesses.Go(func() {
				wait, err := edges[i%4].Take(t.Context(), "account ansel", 10)
				switch {
				case err != nil:
					t.Error(err)
				case wait == 0:
					passed.Add(1)
				case wait > Window:
					t.Errorf("the next guess in %s", wait)
				}
			})
		}
		guesses.Wait()
		return passed.Load()
	}
	if n := storm(); n != 10 {
		t.Errorf("%d guesses passed", n)
	}
	if wait, err := edges[0].Take(t.Context(), "account dorothea", 10); wait != 0 || err != nil {
		t.Errorf("another account: %s, %v", wait, err)
	}
	b.clock.Observe(wire.Heartbeat{Time: time.Now().Add(2 * Window)}, time.Now())
	if n := storm(); n != 10 {
		t.Errorf("%d guesses passed in the next window", n)
	}
	b.server.Stop()
	if _, err := edges[0].Take(t.Context(), "account vivian", 10); !errors.Is(err, wire.ErrUnavailable) {
		t.Errorf("a guess that cannot be counted: %v", err)
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fields []string
		token  string
		count  int
	}{
		{nil, "", 0},
		{[]string{"theme=dark; session=abc; fresh=x"}, "abc", 1},
		{[]string{"session2=abc; mysession=abc; x=session=abc"}, "", 0},
		{[]string{`session="abc"`}, "abc", 1},
		{[]string{"session=abc", "session=def"}, "def", 2},
		{[]string{"session=abc;session=def"}, "def", 2},
		{[]string{"session="}, "", 1},
		{[]string{strings.Repeat("a=b; ", 1600) + "session=abc"}, "abc", 1},
	} {
		if token, count := Token(c.fields, "session"); token != c.token || count != c.count {
			t.Errorf("%.60q: %q, %d", c.fields, token, count)
		}
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	for agent, want := range map[string]string{
		"": "", "nonsense\r\n<b>": "", "curl/8.0": "curl",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/126.0 Safari/537.36 Edg/126": "Edge on Windows",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Safari/604.1":          "Safari on iPhone",
		"Mozilla/5.0 (Linux; Android 14) Chrome/126.0 Mobile Safari/537.36":            "Chrome on Android",
	} {
		if got := summary(agent); got != want {
			t.Errorf("%q: %q, want %q", agent, got, want)
		}
	}
}

// BenchmarkSessionCheck is what knowing a signed-in visitor costs: from the header field to the session.
func BenchmarkSessionCheck(b *testing.B) {
	at := newBus(b)
	s := at.edge()
	token := at.begin(s, ansel())
	fields := []string{"theme=dark; session=" + token + "; me=ansel"}
	if !has(b, s, token) {
		b.Fatal("no session")
	}
	b.ReportAllocs()
	for b.Loop() {
		value, _ := Token(fields, "session")
		if _, _, err := s.Find(b.Context(), value); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRevocation measures the time from the end of a session at one edge until three others refuse it, while a
// thousand other sessions a second change.
func BenchmarkRevocation(b *testing.B) {
	at := newBus(b)
	edges := []*Store{at.edge(), at.edge(), at.edge(), at.edge()}
	ctx, stop := context.WithCancel(b.Context())
	var others sync.WaitGroup
	var changed atomic.Int64
	for i := range 4 {
		others.Go(func() {
			kv, err := edges[i].open()
			if err != nil {
				b.Error(err)
				return
			}
			for tick := time.NewTicker(4 * time.Millisecond); ; {
				select {
				case <-ctx.Done():
					tick.Stop()
					return
				case <-tick.C:
				}
				_, k := newToken()
				if _, err := kv.Put(ctx, k.id(), []byte(`{"user":1,"name":"x"}`)); err == nil {
					changed.Add(1)
				}
			}
		})
	}
	began := time.Now()
	var took []time.Duration
	for b.Loop() {
		token := at.begin(edges[0], ansel())
		for _, s := range edges {
			if !has(b, s, token) {
				b.Fatal("no session")
			}
		}
		start := time.Now()
		if err := edges[0].End(b.Context(), 7, IDOf(token)); err != nil {
			b.Fatal(err)
		}
		for _, s := range edges[1:] {
			for has(b, s, token) {
				runtime.Gosched()
			}
		}
		took = append(took, time.Since(start))
	}
	rate := float64(changed.Load()) / time.Since(began).Seconds()
	stop()
	others.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(rate, "changes/s")
}
