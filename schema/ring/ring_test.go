package ring

import (
	"fmt"
	"slices"
	"testing"
)

func addrs(n int) []string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("10.0.0.%d:11211", i+1))
	}
	return list
}

func choose(t *testing.T, list []string, keys int) []string {
	t.Helper()
	r, err := New(list)
	if err != nil {
		t.Fatal(err)
	}
	chosen := make([]string, keys)
	for i := range chosen {
		addr, err := r.PickServer(fmt.Sprintf("page.user.u%d", i))
		if err != nil {
			t.Fatal(err)
		}
		chosen[i] = addr.String()
	}
	return chosen
}

func TestAddingOneMovesItsShareOnly(t *testing.T) {
	t.Parallel()
	const keys = 100_000
	three, four := choose(t, addrs(3), keys), choose(t, addrs(4), keys)
	moved := 0
	for i := range three {
		if three[i] != four[i] {
			moved++
			if four[i] != addrs(4)[3] {
				t.Fatalf("key %d moved from %s to %s, which is not the new server", i, three[i], four[i])
			}
		}
	}
	if share := float64(moved) / keys; share < .24 || share > .26 {
		t.Errorf("%.1f%% of the keys moved, want 25%%", 100*share)
	}
}

func TestOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	backwards := addrs(4)
	slices.Reverse(backwards)
	if !slices.Equal(choose(t, addrs(4), 1000), choose(t, backwards, 1000)) {
		t.Error("two orders of the same servers choose differently")
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	for _, list := range [][]string{nil, {"localhost"}, {":11211"}, {"a:1", "b:2", "a:1"}} {
		if _, err := New(list); err == nil {
			t.Errorf("%q is taken", list)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	r, err := New(addrs(3))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		r.pick("page.user.ansel")
	}
}
