package renderer

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/wire"
)

// otherSite is a site on the same bus whose database belongs to another site.
func otherSite(t *testing.T, url string) *site {
	t.Helper()
	pool := testenv.Database(t)
	if _, err := pool.Exec(t.Context(), `UPDATE site SET id = gen_random_uuid()`); err != nil {
		t.Fatal(err)
	}
	return newSiteOn(t, url, pool)
}

func siteID(t *testing.T, pool *pgxpool.Pool) (id string) {
	t.Helper()
	if err := pool.QueryRow(t.Context(), `SELECT id FROM site`).Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}

func jetStream(t *testing.T, st *site) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(st.nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// owner is the site that the stream names, "" if there is none.
func owner(t *testing.T, js jetstream.JetStream) string {
	t.Helper()
	stream, err := js.Stream(t.Context(), wire.StreamChanges)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().Config.Metadata[wire.MetadataSite]
}

// refusesToJoin checks that a renderer of st ends because the bus is the site's with this id.
func refusesToJoin(t *testing.T, st *site, theirs string) {
	t.Helper()
	r := launch(t, st.service(t, nil))
	<-r.ended
	other, ok := errors.AsType[*OtherSiteError](r.err)
	if !ok {
		t.Fatalf("a renderer of another site ends with %v", r.err)
	}
	if other.BusSite != theirs || other.DatabaseSite != siteID(t, st.pool) ||
		!strings.Contains(r.err.Error(), other.DatabaseSite) || !strings.Contains(r.err.Error(), theirs) {
		t.Errorf("it says %v", r.err)
	}
}

func TestOtherSiteIsRefused(t *testing.T) {
	t.Parallel()
	ours := newSite(t)
	theirs := otherSite(t, ours.url)
	first := ours.start(t, nil)
	id := siteID(t, ours.pool)
	refusesToJoin(t, theirs, id)
	ours.start(t, nil)

	t.Run("also while no renderer runs", func(t *testing.T) {
		first.stop()
		refusesToJoin(t, theirs, id)
	})

	t.Run("also after NATS has lost its data", func(t *testing.T) {
		js := jetStream(t, ours)
		if err := js.DeleteStream(t.Context(), wire.StreamChanges); err != nil {
			t.Fatal(err)
		}
		testenv.Within(t, 30*time.Second, "the relay creates the stream again", func() bool {
			return owner(t, js) == id
		})
		refusesToJoin(t, theirs, id)
	})
}

// oneJoins checks that one of two renderers ends because the bus is another site's, and that the other one is ready.
func oneJoins(t *testing.T, a, b *running) {
	t.Helper()
	winner, loser := a, b
	select {
	case <-a.ended:
		winner, loser = b, a
	case <-b.ended:
	}
	if !isOtherSite(loser.err) {
		t.Errorf("the loser ends with %v", loser.err)
	}
	testenv.Within(t, 30*time.Second, "the other one is ready", func() bool { return winner.Ready() == nil })
}

// Of two sites that claim an empty bus at the same moment one gets it.
func TestOneSiteClaimsABus(t *testing.T) {
	t.Parallel()
	a := newSite(t)
	b := otherSite(t, a.url)
	first, second := a.service(t, nil), b.service(t, nil)
	oneJoins(t, launch(t, first), launch(t, second))
}

// A stream that was made by hand, or by an older version, names no site. The first renderer adds its own and leaves the
// operator's limits alone.
func TestStreamWithoutASite(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	theirs := otherSite(t, st.url)
	js := jetStream(t, st)
	made := wire.ChangesConfig()
	made.MaxAge, made.Metadata = time.Hour, map[string]string{"team": "photos"}
	if _, err := js.CreateStream(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	st.start(t, nil)
	stream, err := js.Stream(t.Context(), wire.StreamChanges)
	if err != nil {
		t.Fatal(err)
	}
	got := stream.CachedInfo().Config
	if got.Metadata[wire.MetadataSite] != siteID(t, st.pool) || got.Metadata["team"] != "photos" ||
		got.MaxAge != time.Hour {
		t.Errorf("the stream is now %+v", got)
	}
	refusesToJoin(t, theirs, siteID(t, st.pool))
}

// While JetStream is away renderers serve: pages need none. Once it is back, the bus is one site's, and the other's
// renderer ends.
func TestSiteIsCheckedOnceJetStreamIsBack(t *testing.T) {
	t.Parallel()
	options := &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		Nkeys: testenv.NATSUsers(t)}
	bus, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	bus.Start()
	t.Cleanup(func() { bus.Shutdown(); bus.WaitForShutdown() })
	a := newSiteOn(t, bus.ClientURL(), testenv.Database(t))
	b := otherSite(t, a.url)
	first, second := launch(t, a.service(t, nil)), launch(t, b.service(t, nil))
	for _, r := range []*running{first, second} {
		testenv.Within(t, 30*time.Second, "it serves without JetStream", r.serving.Load)
	}
	if err := bus.EnableJetStream(&server.JetStreamConfig{StoreDir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	oneJoins(t, first, second)
}
