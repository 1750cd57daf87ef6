package renderer

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/discovery"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// replicated is a site with a replica that its services read from.
type replicated struct {
	*site
	primary, standby *stack.Postgres
}

func newReplicated(t *testing.T) *replicated {
	t.Helper()
	primary := testenv.Primary(t)
	standby := testenv.Replica(t, primary)
	both, err := url.Parse(primary.URL() + "&synchronous_commit=on")
	if err != nil {
		t.Fatal(err)
	}
	both.Host += "," + standby.Addr()
	pool, err := store.OpenPool(t.Context(), both.String(), 24)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return &replicated{newSiteOn(t, testenv.NATS(t), pool), primary, standby}
}

// readFrom is a configuration that reads from the standby.
func (st *replicated) readFrom(t *testing.T) func(*Config) {
	t.Helper()
	var r Replica
	var err error
	if r.Pool, err = store.OpenReplicaPool(t.Context(), st.standby.URL(), ReplicaConns(0), false); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Pool.Close)
	if r.Searches, err = store.OpenReplicaPool(t.Context(), st.standby.URL(), SearchConns(0), true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Searches.Close)
	return func(c *Config) { c.ReadFrom = []Replica{r} }
}

// answer is a reply of the bus.
type answer struct {
	*wire.Reply
	source string
}

// asks for an answer that meets conditions.
func (st *replicated) asks(t *testing.T, ref page.Ref, wants wire.Conditions) answer {
	t.Helper()
	got, err := st.tries(ref, wants)
	if err != nil {
		t.Fatalf("%s: %v", ref, err)
	}
	return got
}

// tries is asks, but returns the error.
func (st *replicated) tries(ref page.Ref, wants wire.Conditions) (answer, error) {
	msg := nats.NewMsg(ref.Subject())
	wants.Set(msg.Header)
	got, err := st.nc.RequestMsg(msg, 10*time.Second)
	if err == nil {
		err = wire.ErrorOf(got)
	}
	if err != nil {
		return answer{}, err
	}
	reply, err := wire.DecodeReply(ref.Key(), got.Data)
	return answer{reply, got.Header.Get(wire.HeaderSource)}, err
}

// rename changes ansel's name, and returns the version that this gave.
func (st *replicated) rename(t *testing.T, name string) (version wire.Dep) {
	t.Helper()
	version.Scope = "user.ansel"
	err := st.pool.QueryRow(t.Context(), "UPDATE users SET display_name = $1 WHERE name = 'ansel' RETURNING version",
		name).Scan(&version.Version)
	if err == nil { // the trigger has raised it since
		err = st.pool.QueryRow(t.Context(), "SELECT version FROM users WHERE name = 'ansel'").Scan(&version.Version)
	}
	if err != nil {
		t.Fatal(err)
	}
	return version
}

func TestReplicas(t *testing.T) {
	t.Parallel()
	st := newReplicated(t)
	s := st.start(t, st.readFrom(t))
	ansel := page.User("ansel")
	usedAgain := func() {
		t.Helper()
		eventually(t, time.Minute, func() error {
			if got := st.asks(t, ansel, wire.Conditions{}); got.source != wire.SourceReplica {
				return fmt.Errorf("the answer is of the %s", got.source)
			}
			return nil
		})
	}
	usedAgain()
	picture := st.picture(t, 1, 320)
	for _, ref := range []page.Ref{page.Photo(1), page.Home(), page.Tag("blue hour"), page.Album(1), picture} {
		eventually(t, time.Minute, func() error { // a busy machine may delay a heartbeat
			if got := st.asks(t, ref, wire.Conditions{}); got.source != wire.SourceReplica || got.Status != 200 {
				return fmt.Errorf("%s: status %d, of the %s", ref, got.Status, got.source)
			}
			return nil
		})
	}

	// A replica that replays nothing lacks the change: whoever knows of it is answered by the primary.
	if err := st.standby.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	version := st.rename(t, "Renamed")
	got := st.asks(t, ansel, wire.Conditions{Wants: []wire.Dep{version}})
	if got.source != wire.SourcePrimary || !strings.Contains(string(got.Body), "Renamed") {
		t.Errorf("with the version: of the %s: %.200s", got.source, got.Body)
	}
	paused := time.Now()
	if got := st.asks(t, ansel, wire.Conditions{ReadAt: s.clock.Now()}); got.source != wire.SourcePrimary {
		t.Errorf("with the time: of the %s", got.source)
	}
	// Nobody is told that it was read later than it was, and one that is far behind is not used.
	for used := true; used; {
		asked := s.clock.Now()
		got := st.asks(t, ansel, wire.Conditions{})
		if used = got.source == wire.SourceReplica; used {
			if strings.Contains(string(got.Body), "Renamed") {
				t.Fatal("the paused replica shows the change")
			}
			if behind := asked.Sub(got.ReadAt); behind > maxBehind+time.Since(paused) {
				t.Fatalf("a page of the replica is %s old", behind)
			}
		}
		if time.Since(paused) > time.Minute {
			t.Fatal("the replica is used after a minute without changes")
		}
	}
	eventually(t, time.Minute, func() error {
		if now := st.figures(t); now.Used || now.Lag < 1 {
			return fmt.Errorf("while it is paused: %+v", now)
		}
		return nil
	})
	if err := st.standby.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	usedAgain()
	if got := st.asks(t, ansel, wire.Conditions{Wants: []wire.Dep{version}}); !got.Shows([]wire.Dep{version}) {
		t.Errorf("after it: %v", got.Depends)
	}

	// Without the primary the replica answers, and says how old that is. On a busy machine it may be too slow at times.
	st.primary.Kill()
	killed := time.Now()
	for answers := 0; answers == 0 || time.Since(killed) < 3*maxBehind; {
		newer := wire.Dep{Scope: version.Scope, Version: version.Version + 1}
		got, err := st.tries(ansel, wire.Conditions{Wants: []wire.Dep{newer}})
		if wire.Code(err) == "unavailable" && time.Since(killed) < time.Minute {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		answers++
		if got.source != wire.SourceReplica || got.ReadAt.After(s.clock.At(killed).Add(time.Second)) {
			t.Fatalf("%s without the primary: of the %s, read at %v", time.Since(killed), got.source, got.ReadAt)
		}
	}

	// A picture that the replica does not show the primary might show.
	hidden := page.Image(s.maker.keys.Key(1, 99), 320)
	if err := wire.ErrorOf(st.request(t, hidden.Subject())); wire.Code(err) != "unavailable" {
		t.Errorf("a picture that the replica does not show: %v", err)
	}

	// Actions wait for another primary, and are done once. Then all is from this one.
	msg := nats.NewMsg(wire.ActionSubject(wire.ActionPhotoEdit))
	msg.Header.Set(wire.HeaderKey, "failover-1")
	msg.Data = []byte("id=1&title=After+the+failover")
	edit := func() error {
		reply, err := st.nc.RequestMsg(msg, 20*time.Second)
		if err == nil {
			err = wire.ErrorOf(reply)
		}
		return err
	}
	if err := edit(); wire.Code(err) != "unavailable" {
		t.Errorf("an action without a primary: %v", err)
	}
	if err := st.standby.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, edit)
	eventually(t, time.Minute, func() error {
		got := st.asks(t, page.Photo(1), wire.Conditions{})
		if !strings.Contains(string(got.Body), "After the failover") {
			return fmt.Errorf("the page is of the %s: %v", got.source, got.Depends)
		}
		return nil
	})
	usedAgain() // what was a replica is the primary, and says how far it has come all the same
}

// figures are what the statistics say of the replica.
func (st *replicated) figures(t *testing.T) discovery.ReplicaFigures {
	t.Helper()
	var stats struct {
		Data discovery.RendererFigures `json:"data"`
	}
	msg, err := st.nc.Request(wire.SubjectRendererStats, nil, 10*time.Second)
	if err == nil {
		err = json.Unmarshal(msg.Data, &stats)
	}
	if err != nil || len(stats.Data.Replicas) != 1 || *stats.Data.ReplicaLag != stats.Data.Replicas[0].Lag {
		t.Fatalf("the statistics: %v, %+v", err, stats.Data)
	}
	return stats.Data.Replicas[0]
}
