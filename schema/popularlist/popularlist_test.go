package popularlist

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var refs = cmp.AllowUnexported(page.Ref{})

func TestListsAreKeptAndAddedUp(t *testing.T) {
	t.Parallel()
	nc := testenv.Connect(t, testenv.NATS(t))
	one, other := Key("a.example.org", "8080"), Key("a.example.org", "8081")
	if _, err := All(t.Context(), nc); !errors.Is(err, ErrNone) {
		t.Errorf("without a bucket: %v", err)
	}
	list := []wire.Popular{{Ref: page.Home(), Count: 9}, {Ref: page.Tag("blue hour"), Count: 2}}
	if err := Put(t.Context(), nc, one, list); err != nil {
		t.Fatal(err)
	}
	if got, err := Get(t.Context(), nc, one); err != nil || !cmp.Equal(got, list, refs) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := Get(t.Context(), nc, other); !errors.Is(err, ErrNone) {
		t.Errorf("an edge that has never kept one: %v", err)
	}
	if err := Put(t.Context(), nc, other, []wire.Popular{{Ref: page.Tag("blue hour"), Count: 8}}); err != nil {
		t.Fatal(err)
	}
	if err := Put(t.Context(), nc, other, []wire.Popular{{Ref: page.Tag("blue hour"), Count: 10}}); err != nil {
		t.Fatal(err)
	}
	want := []wire.Popular{{Ref: page.Tag("blue hour"), Count: 12}, {Ref: page.Home(), Count: 9}}
	if got, err := All(t.Context(), nc); err != nil || !cmp.Equal(got, want, refs) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestKeysAreLegalAndDiffer(t *testing.T) {
	t.Parallel()
	nc := testenv.Connect(t, testenv.NATS(t))
	seen := map[string]bool{}
	for _, at := range [][2]string{{"localhost", "80"}, {"localhost", "81"}, {"a.b", "80"}, {"Ünïcode host", "80"}} {
		key := Key(at[0], at[1])
		if seen[key] {
			t.Errorf("%q is the key of two", key)
		}
		seen[key] = true
		if err := Put(t.Context(), nc, key, []wire.Popular{{Ref: page.Home(), Count: 1}}); err != nil {
			t.Errorf("%q: %v", key, err)
		}
	}
}

func TestEveryCallIsBounded(t *testing.T) {
	t.Parallel()
	server := testenv.NATSServer(t)
	nc := testenv.Connect(t, server.URL())
	server.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := All(ctx, nc); err == nil || errors.Is(err, ErrNone) {
		t.Errorf("without a bus: %v", err)
	}
	if err := Put(ctx, nc, "edge.a.1", []wire.Popular{{Ref: page.Home(), Count: 1}}); err == nil {
		t.Error("without a bus a list is kept")
	}
}
