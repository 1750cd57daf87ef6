package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/http/pprof"
	"os"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// TestCommittedProfile: killr.pgo is a profile of this program, and names no machine.
func TestCommittedProfile(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("killr.pgo")
	if err != nil {
		t.Fatal(err)
	}
	p, err := profile.ParseData(data)
	if err != nil {
		t.Fatal(err)
	}
	ours := 0
	for _, f := range p.Function {
		if strings.Contains(f.Filename, "/") {
			t.Fatalf("%s names a path", f.Filename)
		}
		if strings.HasPrefix(f.Name, "flickrkillr/edge.") || strings.HasPrefix(f.Name, "flickrkillr/renderer.") {
			ours++
		}
	}
	if ours < 50 || len(p.Sample) < 500 || p.Mapping[0].File != "killr" {
		t.Errorf("%d functions of edge and renderer, %d samples, of %s", ours, len(p.Sample), p.Mapping[0].File)
	}
}

func TestWhatCannotBeHad(t *testing.T) {
	t.Parallel()
	quiet := httptest.NewServer(http.NotFoundHandler())
	defer quiet.Close()
	empty := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		p := profile.Profile{SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}}}
		_ = p.Write(w)
	}))
	defer empty.Close()
	other := httptest.NewServer(http.HandlerFunc(pprof.Symbol))
	defer other.Close()
	for want, args := range map[string][]string{
		"name one debug":   {},
		"404 Not Found":    {quiet.URL},
		"site did nothing": {empty.URL},
		"/debug/pprof":     {other.URL},
	} {
		var out bytes.Buffer
		if err := run(t.Context(), args, &out); err == nil || !strings.Contains(err.Error(), want) || out.Len() > 0 {
			t.Errorf("%v: %v, %d bytes; want %q", args, err, out.Len(), want)
		}
	}
}
