package stack

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"flickrkillr/schema/wire"
)

// busWith starts a NATS with these permissions and returns how to sign in.
func busWith(t *testing.T, table []wire.Access) Env {
	t.Helper()
	seeds, err := MakeSeeds(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	n, err := StartNATS(NATSConfig{Dir: t.TempDir(), Seeds: seeds, Table: table})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Stop)
	return Env{NATS: n.URL(), Seeds: seeds}
}

// TestEveryRoleMayDoOnlyItsOwn tries each subject with each role, in both directions.
func TestEveryRoleMayDoOnlyItsOwn(t *testing.T) {
	t.Parallel()
	table := wire.AccessTable()
	trials, err := CheckAccess(t.Context(), busWith(t, table), table)
	if err != nil {
		t.Fatal(err)
	}
	allowed := 0
	for _, trial := range trials {
		if trial.Allowed {
			allowed++
		}
		if trial.Allowed != trial.Named {
			t.Error(trial)
		}
	}
	t.Logf("tried %d: %d allowed, %d refused", len(trials), allowed, len(trials)-allowed)
	if allowed == 0 || allowed == len(trials) {
		t.Error("not both happened")
	}
	// What the table must never say, whatever it is made from.
	for _, never := range []Trial{
		{Role: wire.RoleEdge, Subject: "changed.tick"}, {Role: wire.RoleEdge, Subject: "hint.changed"},
		{Role: wire.RoleEdge, Subscribe: true, Subject: "_INBOX_renderer.>"},
		{Role: wire.RoleEdge, Subscribe: true, Subject: "page.user.ansel", Queue: wire.QueueRenderer},
		{Role: wire.RoleEdge, Subject: "$JS.API.STREAM.DELETE.CHANGES"},
		{Role: wire.RoleCachefill, Subject: "hint.changed"}, {Role: wire.RoleCachefill, Subject: "changed.batch"},
		{Role: wire.RoleCachefill, Subscribe: true, Subject: "page.user.ansel", Queue: wire.QueueRenderer},
		{Role: wire.RoleCachefill, Subject: "$KV.KEYS.fresh"}, {Role: wire.RoleCachefill, Subject: "action.photo.edit"},
		{Role: wire.RoleOperator, Subject: "changed.tick"}, {Role: wire.RoleOperator, Subject: "hint.changed"},
		{Role: wire.RoleOperator, Subject: "$JS.API.STREAM.DELETE.CHANGES"},
		{Role: wire.RoleOperator, Subject: "$JS.API.DIRECT.GET.KV_KEYS.$KV.KEYS.fresh"},
		// JetStream answers these with bytes that a stream takes, to any reply subject.
		{Role: wire.RoleOperator, Subject: "$JS.API.DIRECT.GET.CHANGES"},
		{Role: wire.RoleOperator, Subject: "$JS.API.DIRECT.GET.KV_SESSIONS.$KV.SESSIONS.x"},
		{Role: wire.RoleOperator, Subject: "$JS.API.DIRECT.GET.KV_HOT.x"},
		{Role: wire.RoleOperator, Subject: "$JS.API.CONSUMER.CREATE.KV_KEYS.x"},
		{Role: wire.RoleOperator, Subject: "$JS.API.CONSUMER.CREATE.CHANGES.x"},
		{Role: wire.RoleOperator, Subject: "$JS.API.CONSUMER.MSG.NEXT.CHANGES.x"},
		{Role: wire.RoleOperator, Subject: "$JS.API.CONSUMER.MSG.NEXT.KV_HOT.x"},
		{Role: wire.RoleOperator, Subject: "$JS.ACK.CHANGES.x"},
		{Role: wire.RoleCachefill, Subject: "$JS.API.DIRECT.GET.KV_HOT.x"},
		{Role: wire.RoleCachefill, Subject: "$JS.API.CONSUMER.MSG.NEXT.KV_HOT.x"},
		{Role: wire.RoleOperator, Subscribe: true, Subject: "action.account.signin"},
		{Role: wire.RoleOperator, Subscribe: true, Subject: "_INBOX_edge.x"},
		{Role: wire.RoleAudit, Subject: "changed.tick"}, {Role: wire.RoleAudit, Subject: "$KV.KEYS.fresh"},
		{Role: wire.RoleCachefill, Subject: "$KV.SESSIONS.x"}, {Role: wire.RoleOperator, Subject: "$KV.SESSIONS.x"},
		{Role: wire.RoleRenderer, Subscribe: true, Subject: "_INBOX_edge.>"},
		{Role: wire.RoleRenderer, Subscribe: true, Subject: "page.user.ansel"}, // outside of the queue group
	} {
		i := slices.IndexFunc(table, func(a wire.Access) bool { return a.Role == never.Role })
		if named := mayPublish(table[i], never.Subject); !never.Subscribe && named {
			t.Errorf("the table lets %s publish to %s", never.Role, never.Subject)
		}
		if named := maySubscribe(table[i], never.Subject, never.Queue); never.Subscribe && named {
			t.Errorf("the table lets %s subscribe to %s %s", never.Role, never.Subject, never.Queue)
		}
	}
}

// TestJetStreamAnswersReachNoStream: operators and cachefills cannot delete a stream, or copy what is in one, by the
// reply subject of a request for JetStream, which answers there with its own rights.
func TestJetStreamAnswersReachNoStream(t *testing.T) {
	t.Parallel()
	bus := busWith(t, wire.AccessTable())
	connect := func(role wire.Role) *nats.Conn {
		t.Helper()
		nc, err := Connect(bus.Login(role), "test", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		return nc
	}
	js, err := jetstream.New(connect(wire.RoleRenderer))
	if err != nil {
		t.Fatal(err)
	}
	create := func(name, subject string) {
		t.Helper()
		config := jetstream.StreamConfig{Name: name, Subjects: []string{subject}, AllowDirect: true}
		if _, err := js.CreateStream(t.Context(), config); err != nil {
			t.Fatal(err)
		}
	}
	create(wire.StreamChanges, wire.SubjectChanged)
	for _, bucket := range wire.Buckets() {
		create("KV_"+bucket, "$KV."+bucket+".>")
		if _, err := js.Publish(t.Context(), "$KV."+bucket+".visitor", []byte("secret")); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range wire.AccessTable() {
		if a.Role != wire.RoleOperator && a.Role != wire.RoleCachefill {
			continue
		}
		nc := connect(a.Role)
		for _, subject := range append(a.Publish, // those that it must not have are refused
			"$JS.API.DIRECT.GET.CHANGES", "$JS.API.DIRECT.GET.KV_SESSIONS.$KV.SESSIONS.visitor") {
			if !strings.HasPrefix(subject, "$JS.") {
				continue
			}
			subject = strings.NewReplacer("*", "visitor", ">", "visitor").Replace(subject)
			for _, reply := range []string{"$JS.API.STREAM.DELETE.KV_LIMITS", "$KV.SESSIONS.mine"} {
				for _, data := range []string{"", `{"seq":99}`} {
					if err := nc.PublishRequest(subject, reply, []byte(data)); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		// Another request is answered after those.
		if _, err := nc.Request("$JS.API.STREAM.INFO.KV_HOT", nil, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	for _, bucket := range wire.Buckets() {
		stream, err := js.Stream(t.Context(), "KV_"+bucket)
		if err != nil {
			t.Errorf("%s: %v", bucket, err)
			continue
		}
		m, err := stream.GetLastMsgForSubject(t.Context(), "$KV."+bucket+".mine")
		if err == nil && string(m.Data) == "secret" {
			t.Errorf("a value of %s was copied", bucket)
		}
	}
}

// TestCheckAccessFindsWhatDiffers: a bus that allows one thing more and another less than the table.
func TestCheckAccessFindsWhatDiffers(t *testing.T) {
	t.Parallel()
	other := wire.AccessTable()
	for i := range other {
		a := &other[i]
		switch a.Role {
		case wire.RoleEdge:
			a.Publish = append(a.Publish, wire.SubjectEarlyInvalidation)
		case wire.RoleOperator:
			a.Subscribe = append(a.Subscribe, wire.Listen{Subject: "action.account.>"})
		case wire.RoleCachefill:
			a.Subscribe = slices.DeleteFunc(a.Subscribe,
				func(l wire.Listen) bool { return l.Subject == wire.SubjectFills })
		case wire.RoleRenderer:
			a.Publish = slices.DeleteFunc(a.Publish, func(s string) bool { return s == wire.SubjectChanged })
		}
	}
	trials, err := CheckAccess(t.Context(), busWith(t, other), wire.AccessTable())
	if err != nil {
		t.Fatal(err)
	}
	var wrong []string
	for _, trial := range trials {
		if trial.Allowed != trial.Named {
			before, token, _ := strings.Cut(trial.String(), "check-")
			_, after, _ := strings.Cut(token, ",")
			wrong = append(wrong, before+after)
		}
	}
	for _, want := range []string{
		"edge may publish to hint.changed, which the table does not name",
		"operator may subscribe to action.account. which the table does not name",
		"cachefill may not subscribe to fill. which the table names",
		"renderer may not publish to changed. which the table names",
	} {
		if !slices.Contains(wrong, want) {
			t.Errorf("it did not find: %s\n%s", want, strings.Join(wrong, "\n"))
		}
	}
}

// TestOnlyRenderersAnswer: an operator who sees the request for a page cannot answer it. A renderer can, after it has
// lost its connection too.
func TestOnlyRenderersAnswer(t *testing.T) {
	t.Parallel()
	bus := busWith(t, wire.AccessTable())
	refused := make(chan error, 10)
	connect := func(role wire.Role, options ...nats.Option) *nats.Conn {
		t.Helper()
		nc, err := Connect(bus.Login(role), "test", nil, append(options,
			nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		return nc
	}
	back := make(chan struct{}, 1)
	edge, operator := connect(wire.RoleEdge), connect(wire.RoleOperator)
	renderer := connect(wire.RoleRenderer, nats.ReconnectHandler(func(*nats.Conn) { back <- struct{}{} }))
	seen, err := operator.SubscribeSync("page.>")
	if err != nil {
		t.Fatal(err)
	}
	requests, err := renderer.QueueSubscribeSync("page.user.>", wire.QueueRenderer)
	if err != nil {
		t.Fatal(err)
	}
	for _, nc := range []*nats.Conn{operator, renderer} {
		if err := nc.FlushTimeout(time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	answer := make(chan string, 1)
	go func() {
		m, err := edge.RequestWithContext(t.Context(), "page.user.ansel", nil)
		if err != nil {
			answer <- err.Error()
			return
		}
		answer <- string(m.Data)
	}()
	m, err := seen.NextMsgWithContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Respond([]byte("forged")); err != nil {
		t.Fatal(err)
	}
	what, ok := parseRefusal(<-refused)
	if !ok || what.verb != "publish" || !strings.HasPrefix(what.subject, "_INBOX_edge.") {
		t.Errorf("the operator was refused %+v", what)
	}
	if m, err = requests.NextMsgWithContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := renderer.ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	<-back
	if err := m.Respond([]byte("a page")); err != nil {
		t.Fatal(err)
	}
	if got := <-answer; got != "a page" {
		t.Errorf("the edge got %q", got)
	}
}

// TestRequestsWithOneReplySubject are all answered.
func TestRequestsWithOneReplySubject(t *testing.T) {
	t.Parallel()
	bus := busWith(t, wire.AccessTable())
	operator, err := Connect(bus.Login(wire.RoleOperator), "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(operator.Close)
	renderer, err := Connect(bus.Login(wire.RoleRenderer), "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(renderer.Close)
	requests, err := renderer.QueueSubscribeSync("page.>", wire.QueueRenderer)
	if err != nil {
		t.Fatal(err)
	}
	inbox := operator.NewInbox()
	answers, err := operator.SubscribeSync(inbox)
	if err != nil || renderer.FlushTimeout(time.Minute) != nil {
		t.Fatal("no connection", err)
	}
	const n = 3
	for range n {
		if err := operator.PublishRequest("page.home", inbox, nil); err != nil {
			t.Fatal(err)
		}
	}
	var all []*nats.Msg
	for range n {
		m, err := requests.NextMsg(time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	for i, m := range all {
		if err := m.Respond(nil); err != nil {
			t.Fatal(err)
		}
		if _, err := answers.NextMsg(time.Minute); err != nil {
			t.Fatalf("answer %d: %v", i+1, err)
		}
	}
}

// TestRefusalsAreLoggedOnce by subject, and counted each time.
func TestRefusalsAreLoggedOnce(t *testing.T) {
	t.Parallel()
	bus := busWith(t, wire.AccessTable())
	var said bytes.Buffer // complete once the connection is closed
	b, err := JoinBus(bus.Login(wire.RoleEdge), "edge", slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := b.Publish(wire.SubjectEarlyInvalidation, []byte("user.ansel 99 gone\n")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.QueueSubscribeSync("page.>", wire.QueueRenderer); err != nil {
		t.Fatal(err)
	}
	if err := b.FlushTimeout(time.Minute); err != nil {
		t.Fatal(err)
	}
	b.Close()
	registry := prometheus.NewRegistry()
	registry.MustRegister(b.Refusals())
	metrics, err := registry.Gather()
	if err != nil || len(metrics) != 1 || metrics[0].GetName() != "killr_edge_bus_refusals_total" ||
		metrics[0].GetMetric()[0].GetCounter().GetValue() != 4 {
		t.Errorf("it counted %v, %v", metrics, err)
	}
	log := said.String()
	if n := strings.Count(log, "subject=hint.changed"); n != 1 || strings.Count(log, "role=edge") != 2 ||
		!strings.Contains(log, "refused to let this role subscribe") || !strings.Contains(log, "queue=renderer") {
		t.Errorf("it logged\n%s", log)
	}
}

// TestSignIn: a role that cannot sign in says what to do.
func TestSignIn(t *testing.T) {
	t.Parallel()
	bus := busWith(t, wire.AccessTable())
	open, err := StartNATS(NATSConfig{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(open.Stop)
	strangers, err := MakeSeeds(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		to   Login
		want string // "": it connects
	}{
		"with its seed":          {bus.Login(wire.RoleEdge), ""},
		"without a seed":         {Login{URL: bus.NATS, Role: wire.RoleEdge}, "say --nats-seed"},
		"with another's seed":    {edgeAt(bus.NATS, strangers[wire.RoleEdge]), "correct --nats-seed"},
		"nobody asks":            {Login{URL: open.URL(), Role: wire.RoleEdge}, ""},
		"a seed for nothing":     {edgeAt(open.URL(), strangers[wire.RoleEdge]), "leave out --nats-seed"},
		"nobody asks, or is one": {Login{URL: open.URL()}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := JoinBus(c.to, "edge", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			if c.want == "" {
				if err := b.FlushTimeout(time.Minute); err != nil {
					t.Fatal(err, b.Down())
				}
				return
			}
			for limit := time.Now().Add(time.Minute); b.failed.Load() == nil; time.Sleep(time.Millisecond) {
				if time.Now().After(limit) {
					t.Fatal("it was neither connected nor refused in a minute")
				}
			}
			if got := b.Down().Error(); !strings.Contains(got, c.want) {
				t.Errorf("it says %s", got)
			}
		})
	}
	if _, err := JoinBus(edgeAt(bus.NATS, "/missing"), "edge", nil); err == nil ||
		!strings.Contains(err.Error(), "correct --nats-seed") {
		t.Errorf("a missing seed: %v", err)
	}
}

// TestAuthorization: nats-server reads from the printed configuration what StartNATS tells it.
func TestAuthorization(t *testing.T) {
	t.Parallel()
	seeds, err := MakeSeeds(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := WriteAuthorization(&text, seeds); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	read, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want, err := Users(wire.AccessTable(), seeds)
	if err != nil {
		t.Fatal(err)
	}
	if len(read.Nkeys) != len(want) {
		t.Fatalf("%d users, want %d", len(read.Nkeys), len(want))
	}
	for i, w := range want {
		if got := read.Nkeys[i]; got.Nkey != w.Nkey || !reflect.DeepEqual(got.Permissions, w.Permissions) {
			t.Errorf("it reads %+v, want %+v", got, w)
		}
	}
	for _, file := range seeds {
		seed, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(text.String(), strings.TrimSpace(string(seed))) {
			t.Error("the configuration has a seed")
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
	// A second start keeps the keys.
	again, err := MakeSeeds(filepath.Dir(filepath.Dir(seeds[wire.RoleEdge])))
	if err != nil {
		t.Fatal(err)
	}
	if kept, err := Users(wire.AccessTable(), again); err != nil || !reflect.DeepEqual(kept, want) {
		t.Errorf("other keys after a second start: %v", err)
	}
}

func edgeAt(url, seed string) Login { return Login{URL: url, Role: wire.RoleEdge, Seed: seed} }
