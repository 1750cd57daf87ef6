package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"flickrkillr/ops/setup"
	"flickrkillr/ops/testenv"
	"flickrkillr/schema/wire"
)

// TestNATSCommandLine uses the site as an operator does.
func TestNATSCommandLine(t *testing.T) {
	t.Parallel()
	cli, err := setup.NATSCLI(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, 1, 2)
	env := []string{"NATS_URL=" + s.bus.URL(), "NATS_NKEY=" + testenv.Seeds(t)[wire.RoleOperator], "NO_COLOR=1"}
	name := s.names[0]

	watching, watch := context.WithTimeout(t.Context(), time.Minute)
	defer watch()
	traffic := exec.CommandContext(watching, cli, "sub", "page.>")
	traffic.Env = append(traffic.Environ(), env...)
	out, err := traffic.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := traffic.Start(); err != nil {
		t.Fatal(err)
	}
	seen := make(chan bool, 1)
	go func() { seen <- readUntil(out, "page.user."+name) }()

	client := newClient(t, 1)
	testenv.Eventually(t, "`nats sub 'page.>'` shows the request of a visitor", func() bool {
		select {
		case ok := <-seen:
			return ok
		default:
			// Each position is a different page, so each request reaches the bus.
			_, _, _, _ = testenv.Fetch(
				t.Context(), client, s.urls[0]+"/photos/"+name+"/before/"+strconv.FormatInt(time.Now().UnixMilli(), 10),
			)
			return false
		}
	})
	watch()
	_ = traffic.Wait() // it was asked to end

	if got := run(t, time.Minute, env, cli, "req", "page.user."+name, ""); !strings.Contains(got, "killr/1 200") ||
		!strings.Contains(got, "</html>") {
		t.Errorf("nats req page.user.%s '': %.600s", name, got)
	}
	act := func(form, key string) string {
		return run(t, time.Minute, env, cli, "req", "action.photo.edit", form, "-H", "Killr-Key:"+key, "--raw")
	}
	first := act("id=1&title=At the lake", "4f1c2a")
	if again := act("id=1&title=At the lake", "4f1c2a"); !strings.HasPrefix(first, "user.") || again != first {
		t.Errorf(
			"nats req action.photo.edit 'id=1&title=At the lake' -H 'Killr-Key:4f1c2a': %.600s, again: %.600s", first,
			again,
		)
	}
	if got := run(
		t, time.Minute, env, cli, "req", "action.photo.edit", "id=1&titel=x", "-H", "Killr-Key:4f1c2b",
	); !strings.Contains(got, "titel is no field of photo.edit") {
		t.Errorf("a form with a mistake: %.600s", got)
	}
	list := run(t, time.Minute, env, cli, "micro", "ls")
	ids := regexp.MustCompile(`\b[0-9A-Za-z]{22}\b`).FindAllString(list, -1)
	if !strings.Contains(list, "renderer") || !strings.Contains(list, "cachefill") || len(ids) != 3 {
		t.Errorf("nats micro ls shows %d of 3 services:\n%s", len(ids), list)
	}
	if got := run(t, time.Minute, env, cli, "micro", "stats", "renderer"); !strings.Contains(got, "user") ||
		!strings.Contains(got, "photo-edit") ||
		!strings.Contains(got, "Requests") {
		t.Errorf("nats micro stats renderer:\n%s", got)
	}
	if got := run(t, time.Minute, env, cli, "micro", "info", "renderer"); !strings.Contains(got, "page.user.>") {
		t.Errorf("nats micro info renderer:\n%s", got)
	}
	stats := run(t, time.Minute, env, cli, "req", "$SRV.STATS.renderer", "", "--raw")
	var decoded struct {
		Endpoints []struct {
			Name string          `json:"name"`
			Data json.RawMessage `json:"data"`
		} `json:"endpoints"`
	}
	if err := json.NewDecoder(strings.NewReader(stats)).Decode(&decoded); err != nil {
		t.Fatalf("statistics: %v\n%s", err, stats)
	}
	for _, want := range []string{`"requests"`, `"p50_ms"`, `"p95_ms"`, `"p99_ms"`, `"in_flight"`} {
		found := false
		for _, e := range decoded.Endpoints {
			found = found || bytes.Contains(e.Data, []byte(want))
		}
		if !found {
			t.Errorf("no endpoint's statistics have %s:\n%s", want, stats)
		}
	}
}

// readUntil reads until a text has occurred.
func readUntil(r io.Reader, text string) bool {
	var all []byte
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		all = append(all, buf[:n]...)
		if bytes.Contains(all, []byte(text)) {
			return true
		}
		if err != nil {
			return false
		}
	}
}
