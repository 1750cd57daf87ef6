package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/wire"
)

// newAudit returns an audit of a database with two users, one of whom has too many photos to be audited.
func newAudit(t *testing.T) *audit {
	t.Helper()
	pool := testenv.Database(t)
	const image = "abcdefghijklmnopqrstuvwxyz"
	for _, sql := range []string{
		`INSERT INTO images (id, bytes, width, height, color) VALUES ('` + image + `', 1, 640, 480, 0)`,
		`INSERT INTO users (id, name, display_name) VALUES (1, 'ansel', 'Ansel'), (2, 'many', 'Many')`,
		`INSERT INTO photos (id, user_id, image_id, width, height, color, title, posted_at, private)
			SELECT n, CASE WHEN n <= 3 THEN 1 ELSE 2 END, '` + image + `', 640, 480, 0, 'A title', now() - interval '1 day', n = 3 FROM generate_series(1, 60) n`,
		`INSERT INTO albums (id, user_id, title) VALUES (1, 1, 'Mine')`,
		`INSERT INTO album_photos (album_id, photo_id, user_id, position) VALUES (1, 2, 1, 5), (1, 1, 1, 9)`,
	} {
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	a := &audit{
		cfg: Config{Pool: pool, Seed: 1}.withDefaults(), log: slog.New(slog.DiscardHandler), tally: newTally(nil),
		start: time.Now(), owned: make(chan *event),
	}
	a.faults = &faultLog{now: a.now}
	var err error
	if a.world, err = choose(t.Context(), pool, 10, a.now); err != nil {
		t.Fatal(err)
	}
	a.popularity = popularity(len(a.world.owners))
	return a
}

func (a *audit) version(t *testing.T) (v int64) {
	t.Helper()
	if err := a.cfg.Pool.QueryRow(t.Context(), `SELECT version FROM users WHERE id = 1`).Scan(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestChoose(t *testing.T) {
	t.Parallel()
	a := newAudit(t)
	if len(a.world.owners) != 1 || a.world.owners[0].name != "ansel" || len(a.world.photos) != 3 {
		t.Fatalf("chosen were %v", a.world.names)
	}
	o := a.world.owners[0]
	p := a.world.photos
	if o.photos[0].id != 3 || p[3].now.public || !p[1].now.public || p[1].now.albums != 1 || p[3].now.albums != 0 ||
		o.known != a.version(t) {
		t.Errorf("known is %+v %+v %+v, version %d", p[1].now, p[2].now, p[3].now, o.known)
	}
	if at := o.albums[0].position; at[2] != 5 || at[1] != 9 || at[3] <= 9 {
		t.Errorf("positions are %v", at)
	}
	var title string
	if err := a.cfg.Pool.QueryRow(t.Context(), `SELECT title FROM photos WHERE id = 2`).Scan(&title); err != nil ||
		title != markerTitle(2, 0) {
		t.Errorf("%q, %v", title, err)
	}
	if _, err := choose(t.Context(), testenv.Database(t), 10, a.now); err == nil ||
		!strings.Contains(err.Error(), "between 1 and 40") {
		t.Errorf("of an empty database: %v", err)
	}
}

// Every kind of change raises the version that is recorded, and its outcome can be found, made or not.
func TestEachChangeByPsql(t *testing.T) {
	t.Parallel()
	a := newAudit(t)
	answers := 0
	a.cfg.OnAnswer = func() { answers++ }
	o := a.world.owners[0]
	for i, c := range []struct {
		photo, bit int
		draw       uint32
		what       string
	}{
		{1, 0, 0, "titling"}, {1, 0, 55, "hiding"}, {1, 0, 0, "publishing"},
		{1, 0, 75, "filing"}, {1, 0, 75, "filing"}, {1, 3, 90, "tagging"}, {1, 3, 90, "tagging"},
		{1, 3, 90, "tagging"}, {1, 0, 65, "deleting"}, {1, 0, 0, "posting"}, {0, 0, 0, "publishing"},
	} {
		d := decision{owner: o, photo: c.photo, what: c.draw, bit: c.bit}
		before := a.version(t)
		would := d.plan(o.photos[c.photo])
		if would.what != c.what {
			t.Fatalf("%d: planned is %s, want %s", i, would.what, c.what)
		}
		if found, err := a.findOutcome(t.Context(), &would, before); err != nil || !found.none {
			t.Errorf("%d, %s: looked up before it was done: %+v, %v", i, c.what, found, err)
		}
		e, err := a.write(t.Context(), d)
		if err != nil || e == nil {
			t.Fatalf("%d, %s: %v", i, c.what, err)
		}
		if e.version != a.version(t) || e.version <= before || !e.exact() || e.acked < e.begun ||
			e.state != o.photos[c.photo].now {
			t.Errorf("%d: %v, but the version is %d after %d", i, e, a.version(t), before)
		}
		changesScope := c.what == "hiding" || c.what == "publishing" || c.what == "deleting" || c.what == "posting"
		if (e.scope != 0) != changesScope || e.scope != 0 && e.scope <= before {
			t.Errorf("%d, %s: the photo's own scope is at %d", i, c.what, e.scope)
		}
		found, err := a.findOutcome(t.Context(), &would, before)
		if err != nil || found.none || found.version != e.version ||
			found.after != before {
			t.Errorf("%d, %s: looked up after it was done: %+v, %v; want version %d", i, c.what, found, err, e.version)
		}
	}
	p := o.photos[1]
	var title string
	var tags, albums int
	err := a.cfg.Pool.QueryRow(
		t.Context(),
		`SELECT title, (SELECT count(*) FROM photo_tags WHERE photo_id = $1), (SELECT count(*) FROM album_photos WHERE photo_id = $1) FROM photos WHERE id = $1`,
		p.id,
	).Scan(&title, &tags, &albums)
	if err != nil || title != markerTitle(p.id, 2) || tags != 0 || albums != 0 ||
		p.now != (state{public: true, write: 2}) {
		t.Errorf("in the end it is %q with %d tags in %d albums, known as %v, %v", title, tags, albums, p.now, err)
	}
	if r := a.tally.sum(); r.Writes[Psql] != 11 || r.Unknown != 0 || answers != 11 {
		t.Errorf("%d answers, %+v", answers, r)
	}
}

// The outcome of a write whose answer is lost is found in Postgres; one that failed before it did anything is known not
// to have been made.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	a := newAudit(t)
	a.cfg.OnAnswer = func() { t.Error("a write without an answer is told as acknowledged") }
	o := a.world.owners[0]
	before := a.version(t)
	if _, err := a.cfg.Pool.Exec(t.Context(), `CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
		CREATE TRIGGER lose AFTER UPDATE ON photos FOR EACH STATEMENT EXECUTE FUNCTION lose()`); err != nil {
		t.Fatal(err)
	}
	e, err := a.write(t.Context(), decision{owner: o, photo: 1})
	if err != nil || e != nil || a.version(t) != before {
		t.Errorf("%v, %v", e, err)
	}
	if len(o.open) != 0 {
		t.Error("it is still open")
	}
	if r := a.tally.sum(); r.Unknown != 1 {
		t.Errorf("%+v", r)
	}
}

// A server that vanishes says nothing. So another connection is asked for an outcome soon.
func TestOutcomeOfAServerThatVanished(t *testing.T) {
	t.Parallel()
	a := newAudit(t)
	c := a.cfg.Pool.Config()
	var dials atomic.Int32
	dial := c.ConnConfig.DialFunc
	c.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if dials.Add(1) > 1 {
			return dial(ctx, network, address)
		}
		here, there := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, there) }() // until here is closed
		return here, nil
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	a.cfg.Pool, a.lookTimeout = pool, time.Second
	d := decision{owner: a.world.owners[0], photo: 1}
	would := d.plan(d.owner.photos[1])
	if found, err := a.findOutcome(t.Context(), &would, 0); err != nil || !found.none || dials.Load() < 2 {
		t.Errorf("%+v, %v after %d connections", found, err, dials.Load())
	}
}

// An outcome is asked for as long as the configuration says.
func TestOutcomeIsGivenUp(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), "postgres://127.0.0.1/")
	if err != nil {
		t.Fatal(err)
	}
	pool.Close()
	synctest.Test(t, func(t *testing.T) {
		for configured, want := range map[time.Duration]time.Duration{0: time.Minute, time.Hour: time.Hour} {
			a := &audit{cfg: Config{Pool: pool, OutcomeTimeout: configured}, log: slog.New(slog.DiscardHandler)}
			o, began := newOwner(0, 1, "ansel"), time.Now()
			o.photos = []*photo{{owner: o, exists: true, now: state{public: true}}}
			if _, err := a.write(t.Context(), decision{owner: o}); err == nil || time.Since(began) != want {
				t.Errorf("%v: given up after %v: %v", configured, time.Since(began), err)
			}
		}
	})
}

func TestActionsAlone(t *testing.T) {
	t.Parallel()
	a := &audit{cfg: Config{Seed: 1, BusShare: 1, Actions: true}, world: &world{}, popularity: popularity(3)}
	for i := range 3 {
		o := &owner{index: i, albums: make([]album, 2)}
		for range 5 {
			o.photos = append(o.photos, &photo{owner: o, exists: true, now: state{public: true}})
		}
		a.world.owners = append(a.world.owners, o)
	}
	seen := map[string]int{}
	for n := range int64(1000) {
		d := a.decide(n)
		p := d.owner.photos[d.photo]
		c := d.plan(p)
		p.now = c.next
		if seen[c.what]++; c.action() == "" || !c.bus || !c.exists {
			t.Fatalf("write %d is %+v", n, c)
		}
	}
	if len(seen) != 3 || seen["titling"] < 500 {
		t.Errorf("%v", seen)
	}
}

func TestDecisionsAreRepeatable(t *testing.T) {
	t.Parallel()
	draw := func(seed uint64) []decision {
		a := &audit{cfg: Config{Seed: seed, BusShare: .5}, world: &world{}, popularity: popularity(10)}
		for i := range 10 {
			a.world.owners = append(a.world.owners, &owner{index: i, photos: make([]*photo, 20)})
		}
		var all []decision
		for n := range int64(2000) {
			d := a.decide(n)
			d.owner = &owner{index: d.owner.index}
			all = append(all, d)
		}
		return all
	}
	first, again, other := draw(1), draw(1), draw(2)
	counts, bus, same := map[int]int{}, 0, 0
	for i, d := range first {
		counts[d.owner.index]++
		if d.bus {
			bus++
		}
		if e := again[i]; e.owner.index != d.owner.index || e.photo != d.photo || e.what != d.what || e.bit != d.bit ||
			e.bus != d.bus {
			t.Fatalf("decision %d is %+v, then %+v", i, d, e)
		}
		if other[i].owner.index == d.owner.index && other[i].what == d.what {
			same++
		}
	}
	if same > 200 || bus < 800 || bus > 1200 || counts[0] < 2*counts[4] || counts[9] == 0 {
		t.Errorf("%d as with another seed, %d by bus, by owner %v", same, bus, counts)
	}
}

// fakeActions is a renderer that gives prepared answers to actions.
type fakeActions struct {
	mu      sync.Mutex
	answers []func(*nats.Msg) *nats.Msg
	seen    []*nats.Msg
}

func (f *fakeActions) serve(m *nats.Msg) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, m)
	if len(f.answers) == 0 {
		return
	}
	answer := f.answers[0]
	f.answers = f.answers[1:]
	if reply := answer(m); reply != nil {
		_ = m.RespondMsg(reply) // a test that goes without fails
	}
}

func changed(text string) func(*nats.Msg) *nats.Msg {
	return func(*nats.Msg) *nats.Msg { return &nats.Msg{Data: []byte(text)} }
}

func refused(err error) func(*nats.Msg) *nats.Msg {
	return func(m *nats.Msg) *nats.Msg { return wire.ErrorMsg(m.Reply, err) }
}

func TestByBus(t *testing.T) {
	t.Parallel()
	nc := testenv.Connect(t, testenv.NATS(t))
	s := newHistory(t)
	a := &audit{cfg: Config{NATS: nc, BusShare: 1}, log: slog.New(slog.DiscardHandler), world: &world{}}
	if err := a.checkActions(t.Context()); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("nobody is there: %v", err)
	}
	f := &fakeActions{}
	if _, err := nc.Subscribe("action.>", f.serve); err != nil {
		t.Fatal(err)
	}
	p := s.checker.photos[8]
	do := func(c *change, answers ...func(*nats.Msg) *nats.Msg) (outcome, []*nats.Msg, error) {
		f.mu.Lock()
		f.answers, f.seen = answers, nil
		f.mu.Unlock()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		done, err := a.writeByBus(ctx, c)
		f.mu.Lock()
		defer f.mu.Unlock()
		return done, f.seen, err
	}
	hide := &change{what: "hiding", photo: p, key: "k1"}
	done, seen, err := do(
		hide, refused(wire.ErrBusy), refused(wire.ErrUnavailable), changed("user.ansel 105\nphoto.8 104 gone\n"),
	)
	if err != nil || done != (outcome{version: 105, after: 104, scope: 104}) || len(seen) != 3 {
		t.Fatalf("%+v, %v after %d requests", done, err, len(seen))
	}
	for _, m := range seen {
		form, err := url.ParseQuery(string(m.Data))
		if err != nil || m.Subject != "action.photo.privacy" || m.Header.Get(wire.HeaderKey) != "k1" ||
			form.Get("id") != "8" || form.Get("private") != "true" || m.Header.Get(wire.HeaderDeadline) == "" {
			t.Errorf("%s %s %v", m.Subject, m.Data, m.Header)
		}
	}
	for name, answer := range map[string]func(*nats.Msg) *nats.Msg{
		"not there":          refused(wire.ErrNotFound),
		"not understood":     refused(wire.ErrBadRequest),
		"no version of ours": changed("user.other 105\n"),
		"nothing changed":    changed(""),
	} {
		if done, seen, err := do(hide, answer); err == nil || len(seen) != 1 {
			t.Errorf("%s: %+v after %d requests", name, done, len(seen))
		}
	}
	_, seen, _ = do(&change{what: "titling", photo: p, key: "k2", next: state{write: 3}}, changed("user.ansel 106\n"))
	if got := fmt.Sprint(seen[0].Subject, " ", string(seen[0].Data)); got != "action.photo.edit id=8&title=audit+8.3" {
		t.Errorf("%s", got)
	}
	_, seen, _ = do(&change{what: "deleting", photo: p, key: "k3"}, changed("user.ansel 107\nphoto.8 107 gone\n"))
	if got := fmt.Sprint(seen[0].Subject, " ", string(seen[0].Data)); got != "action.photo.delete id=8" {
		t.Errorf("%s", got)
	}
	f.answers = []func(*nats.Msg) *nats.Msg{refused(wire.ErrBadRequest)}
	if err := a.checkActions(t.Context()); err != nil {
		t.Error(err)
	}
}
