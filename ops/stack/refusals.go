package stack

import (
	"log/slog"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"

	"flickrkillr/schema/wire"
)

// refusals logs and counts what NATS refuses to a role by its permissions.
type refusals struct {
	log   *slog.Logger
	role  wire.Role
	count atomic.Int64

	mu     sync.Mutex
	logged map[refusal]bool
}

// refusal is one thing that NATS refused. Queue is empty for a publish.
type refusal struct{ verb, subject, queue string }

// mostRefusals bounds how many different refusals are logged. The subjects of pages are without number.
const mostRefusals = 100

// add takes in an error of a connection that wraps nats.ErrPermissionViolation. A subject is logged once.
func (r *refusals) add(err error) {
	r.count.Add(1)
	what, ok := parseRefusal(err)
	if !ok {
		r.log.Error("the bus refused something", "role", string(r.role), "err", err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.logged[what] || len(r.logged) >= mostRefusals {
		return
	}
	if r.logged == nil {
		r.logged = map[refusal]bool{}
	}
	r.logged[what] = true
	attrs := []any{"role", string(r.role), "subject", what.subject}
	if what.queue != "" {
		attrs = append(attrs, "queue", what.queue)
	}
	r.log.Error("the bus refused to let this role "+what.verb, attrs...)
}

func (r *refusals) list() (all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for what := range r.logged {
		all = append(all, what.verb+" to "+what.subject)
	}
	slices.Sort(all)
	return all
}

var refusalText = regexp.MustCompile(`Violation for (Publish|Subscription) to "([^"]*)"(?: using queue "([^"]*)")?`)

// parseRefusal reads what the server refused from its error.
func parseRefusal(err error) (what refusal, ok bool) {
	m := refusalText.FindStringSubmatch(err.Error())
	if m == nil {
		return refusal{}, false
	}
	what = refusal{verb: "publish", subject: m[2], queue: m[3]}
	if m[1] == "Subscription" {
		what.verb = "subscribe"
	}
	return what, true
}
