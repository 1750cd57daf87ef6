package bench

import (
	"bytes"
	"math"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestTurns: no request of the one kind is made during a turn of the other, and both kinds get turns.
func TestTurns(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	under, counts, overlaps := map[bool]int{}, map[bool]int{}, 0
	cfg := some(listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		signedIn := r.Header.Get("Cookie") != ""
		mu.Lock()
		under[signedIn]++
		counts[signedIn]++
		if under[!signedIn] > 0 {
			overlaps++
		}
		mu.Unlock()
		serve(w, r)
		mu.Lock()
		under[signedIn]--
		mu.Unlock()
	})), 0)
	cfg.Visitors, cfg.SignedIn, cfg.Cookies = 8, 50, []string{"session=a"}
	cfg.Turns, cfg.Duration, cfg.Rate = 100*time.Millisecond, 2*time.Second, 0
	cfg.Servers = []Server{{Name: "us", PID: os.Getpid()}}
	res := mustRun(t, cfg)
	mustBeClean(t, res)
	if overlaps > 0 || counts[true] == 0 || counts[false] == 0 {
		t.Errorf("%d of %v requests were made in the other kind's turn", overlaps, counts)
	}
	if runtime.GOOS != "linux" {
		return
	}
	if c := res.Comparison; c == nil || c.Pairs == 0 || c.Anonymous <= 0 || c.SignedIn <= 0 {
		t.Fatalf("nothing was compared: %+v", c)
	}
	var b bytes.Buffer
	if err := res.WriteTable(&b); err != nil || !strings.Contains(b.String(), "take turns of 0.1 s") {
		t.Errorf("the table does not compare: %s, %v", &b, err)
	}
}

// TestComparison: costs are those of whole pairs of turns, and a turn without its fellow does not count.
func TestComparison(t *testing.T) {
	t.Parallel()
	one := func(kind part, requests int64, micros int) turn {
		return turn{kind: kind, requests: requests, used: time.Duration(requests*int64(micros)) * time.Microsecond}
	}
	all := &turns{ended: []turn{
		one(partAnonymous, 100, 10), one(partSignedIn, 200, 12), one(partSignedIn, 100, 22),
		one(partAnonymous, 100, 20), one(partAnonymous, 100, 10),
		one(partSignedIn, 100, 15), one(partSignedIn, 100, 99),
	}}
	got := all.comparison()
	if got == nil {
		t.Fatal("nothing is compared")
	}
	want := Comparison{Pairs: 3, Anonymous: 4000. / 300, SignedIn: (2400 + 2200 + 1500) / 400., Ratio: 1.2, Least: 1.1,
		Most: 1.5}
	for _, pair := range [][2]float64{
		{got.Anonymous, want.Anonymous}, {got.SignedIn, want.SignedIn}, {got.Ratio, want.Ratio},
		{got.Least, want.Least}, {got.Most, want.Most},
	} {
		if got.Pairs != want.Pairs || math.Abs(pair[0]-pair[1]) > 1e-9 {
			t.Errorf("%+v, want %+v", *got, want)
		}
	}
	unknown := &turns{ended: []turn{{kind: partAnonymous, unknown: true}, one(partSignedIn, 1, 1)}}
	if c := unknown.comparison(); c != nil {
		t.Errorf("without processor time: %+v", c)
	}
}

// TestTurnsNeedBothKinds: turns are refused where they would compare nothing.
func TestTurnsNeedBothKinds(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{
		"no one signed in": {},
		"everybody":        {SignedIn: 100, Cookies: []string{"a=b"}},
		"an open loop":     {SignedIn: 50, Cookies: []string{"a=b"}, Rate: 10},
	} {
		cfg.Edges, cfg.Pages, cfg.Turns = []string{"http://127.0.0.1:1"}, []Page{{Path: "/"}}, time.Second
		if _, err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "turns") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
