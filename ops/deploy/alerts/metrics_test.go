package alerts

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"flickrkillr/edge/encryption"
	"flickrkillr/ops/debug"
	"flickrkillr/ops/site"
	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
)

// dashboard is what these tests read of dashboard.json.
type dashboard struct {
	Panels []struct {
		Title   string `json:"title"`
		Targets []struct {
			Expr string `json:"expr"`
		} `json:"targets"`
	} `json:"panels"`
}

// expressions are those of the dashboard, with a duration where Grafana puts one.
func expressions(t *testing.T) (all []string) {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal([]byte(read(t, "dashboard.json")), &d); err != nil {
		t.Fatal(err)
	}
	for _, p := range d.Panels {
		if len(p.Targets) == 0 {
			t.Errorf("%s shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			all = append(all, strings.ReplaceAll(target.Expr, "$__rate_interval", "1m"))
		}
	}
	if len(all) == 0 {
		t.Fatal("dashboard.json has no panel")
	}
	return all
}

var (
	ours   = regexp.MustCompile(`\bkillr_[a-z_]+`)
	series = regexp.MustCompile(`(?m)^([a-z_]+)[{ ]`)
)

// TestEachMetricExists: every metric of ours that rules and dashboard name is exported by a role.
func TestEachMetricExists(t *testing.T) {
	t.Parallel()
	exported := map[string]bool{}
	for _, m := range series.FindAllStringSubmatch(metricsOfASite(t), -1) {
		exported[m[1]] = true
	}
	checked := 0
	for _, text := range append(expressions(t), read(t, "alerts.yml")) {
		for _, name := range ours.FindAllString(text, -1) {
			checked++
			if !exported[name] {
				t.Errorf("no role exports %s", name)
			}
		}
	}
	if checked < 50 {
		t.Errorf("only %d names were compared", checked)
	}
}

// metricsOfASite are the metrics of a site with one role of each kind, over TLS, of which pages were requested.
func metricsOfASite(t *testing.T) string {
	t.Helper()
	certificate, key := testenv.CertificateFiles(t)
	database := testenv.DatabaseURL(t) // and its own replica, which is never behind
	cfg := site.Config{
		Services: stack.Env{
			NATS: testenv.NATS(t), Seeds: testenv.Seeds(t), Postgres: database, ReadFrom: []string{database},
			Memcached: []string{testenv.Memcached(t)},
		},
		Pictures: filepath.Join(t.TempDir(), "pictures"), Addr: "127.0.0.1:0",
	}
	cfg.Edge.Certificates = []encryption.KeyPair{{Certificate: certificate, Key: key}}
	s := site.New(cfg)
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	for _, role := range []site.Role{site.Renderer, site.Cachefill, site.Edge} {
		if err := s.Add(role, 1); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.WaitPages(ctx, "/about"); err != nil {
		t.Fatal(err)
	}
	l, err := debug.Listen(debug.Config{
		Addr: "127.0.0.1:0", Version: "1.0.0", Roles: s.RolesHere, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	serving, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(serving) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	status, text := testenv.Get(t, "http://"+l.Addr()+"/metrics")
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, text)
	}
	return text
}

// TestDashboardIsRead has promtool read each expression of the dashboard.
func TestDashboardIsRead(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("groups:\n- name: dashboard\n  rules:\n")
	for n, expr := range expressions(t) {
		fmt.Fprintf(&b, "  - record: panel:%d\n    expr: %q\n", n, expr)
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "promtool", "check", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
