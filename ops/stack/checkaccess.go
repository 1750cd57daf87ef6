package stack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"flickrkillr/schema/wire"
)

// Trial is one thing that a role tried on a bus.
type Trial struct {
	Role      wire.Role
	Subscribe bool // otherwise it published
	Subject   string
	Queue     string // of the subscription; "": none
	Named     bool   // the table allows it
	Allowed   bool   // NATS allowed it
}

func (t Trial) String() string {
	verb, in := "publish to", ""
	if t.Subscribe {
		verb = "subscribe to"
	}
	if t.Queue != "" {
		in = " in the queue group " + t.Queue
	}
	if t.Allowed {
		return fmt.Sprintf("%s may %s %s%s, which the table does not name", t.Role, verb, t.Subject, in)
	}
	return fmt.Sprintf("%s may not %s %s%s, which the table names", t.Role, verb, t.Subject, in)
}

// signInLimit bounds the trials of one role.
const signInLimit = 30 * time.Second

// CheckAccess signs in to a running bus as each role of the table and tries each subject of the table, and some that
// nobody may use: to publish to it, to subscribe to it, and to subscribe in each queue group. It returns all trials.
// Errors: a role cannot sign in, or the bus is lost.
//
// It does not disturb the site. A wildcard is tried with a token that nobody uses. What is published has a reply
// subject that no client may use: NATS compares the subject with the permissions first, then refuses the message
// because of the reply subject, so that it reaches nobody. A subscription ends at once.
func CheckAccess(ctx context.Context, env Env, table []wire.Access) (all []Trial, err error) {
	for _, a := range table {
		trials := trialsOf(a, table, "check-"+nuid.Next())
		login := env.Login(a.Role)
		if login.Seed == "" {
			return nil, fmt.Errorf("the seed of the role %s is not known", a.Role)
		}
		if err := tryAll(ctx, login, trials); err != nil {
			return nil, fmt.Errorf("sign in to %s as the role %s: %w", Redact(env.NATS), a.Role, err)
		}
		all = append(all, trials...)
	}
	return all, nil
}

// trialsOf lists what one role is to try, and what of it the table names. token stands for wildcards.
func trialsOf(a wire.Access, table []wire.Access, token string) (trials []Trial) {
	subjects, queues := triedSubjects(table, token)
	for _, s := range subjects {
		trials = append(trials, Trial{Role: a.Role, Subject: s, Named: mayPublish(a, s)})
	}
	for _, s := range append(subjects, ">", "*", "*.>", "$JS.API.>") {
		for _, queue := range queues {
			trials = append(trials, Trial{
				Role: a.Role, Subscribe: true, Subject: s, Queue: queue, Named: maySubscribe(a, s, queue),
			})
		}
	}
	return trials
}

// triedSubjects are an example for each subject that any role has, and subjects that no role has, and the queue groups.
func triedSubjects(table []wire.Access, token string) (subjects, queues []string) {
	example := func(subject string) {
		subjects = append(subjects, strings.NewReplacer("*", token, ">", token).Replace(subject))
	}
	queues = []string{""}
	for _, a := range table {
		for _, subject := range a.Publish {
			example(subject)
		}
		for _, l := range a.Subscribe {
			example(l.Subject)
			queues = append(queues, l.Queue)
		}
	}
	for _, bucket := range append(wire.Buckets(), wire.BucketTickets, wire.BucketACME) {
		for _, request := range []string{"UPDATE", "DELETE", "PURGE", "SNAPSHOT", "MSG.GET", "MSG.DELETE"} {
			example("$JS.API.STREAM." + request + ".KV_" + bucket)
		}
	}
	for _, subject := range []string{
		"$JS.API.STREAM.UPDATE.CHANGES", "$JS.API.STREAM.PURGE.CHANGES", "$JS.API.STREAM.MSG.DELETE.CHANGES",
		"$JS.API.STREAM.CREATE.*", "$JS.API.CONSUMER.DURABLE.CREATE.CHANGES.*", "$SYS.REQ.SERVER.PING", "action.*",
		"hint.*", "*.user.ansel", "*",
	} {
		example(subject)
	}
	slices.Sort(subjects)
	slices.Sort(queues)
	return slices.Compact(subjects), slices.Compact(queues)
}

func mayPublish(a wire.Access, subject string) bool {
	return slices.ContainsFunc(a.Publish, func(pattern string) bool { return covers(pattern, subject) })
}

func maySubscribe(a wire.Access, subject, queue string) bool {
	return slices.ContainsFunc(a.Subscribe, func(l wire.Listen) bool {
		return covers(l.Subject, subject) && (l.Queue == "" || l.Queue == queue)
	})
}

// covers reports whether all that matches subject matches pattern too.
func covers(pattern, subject string) bool {
	patterns, tokens := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, p := range patterns {
		switch {
		case i >= len(tokens):
			return false
		case p == ">":
			return true
		case tokens[i] == ">", p != "*" && p != tokens[i]:
			return false
		}
	}
	return len(patterns) == len(tokens)
}

// reservedReply begins reply subjects that NATS refuses to clients.
const reservedReply = "_R_."

// tryAll makes the trials of one role on a connection of their own and notes which of them NATS allowed.
func tryAll(ctx context.Context, to Login, trials []Trial) error {
	ctx, cancel := context.WithTimeout(ctx, signInLimit)
	defer cancel()
	refused := map[refusal]bool{} // by the handler alone until closed
	passed := map[string]bool{}   // the reply subjects that NATS refused, after it had allowed the subject
	closed := make(chan struct{})
	nc, err := Connect(to, "killr bus check", nil, nats.RetryOnFailedConnect(false), nats.NoReconnect(),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if what, ok := parseRefusal(err); ok {
				refused[what] = true
			} else if _, reply, ok := strings.Cut(err.Error(), `Publish with Reply of "`); ok {
				passed[strings.TrimSuffix(reply, `"`)] = true
			}
		}),
		nats.ClosedHandler(func(*nats.Conn) { close(closed) })) // it runs after all errors have been handled
	if err != nil {
		return err
	}
	reply := func(i int) string { return reservedReply + strconv.Itoa(i) }
	err = func() error {
		defer nc.Close()
		heard := make(chan *nats.Msg, 64) // nobody reads what comes in the moment before Unsubscribe
		for i, t := range trials {
			if !t.Subscribe {
				// JetStream would refuse these data, should the reply subject be allowed.
				if err := nc.PublishRequest(t.Subject, reply(i), []byte("killr bus check")); err != nil {
					return err
				}
				continue
			}
			sub, err := nc.ChanQueueSubscribe(t.Subject, t.Queue, heard)
			if err == nil {
				err = sub.Unsubscribe()
			}
			if err != nil {
				return err
			}
		}
		return nc.FlushWithContext(ctx)
	}()
	<-closed
	if err != nil {
		return err
	}
	for i := range trials {
		t := &trials[i]
		if t.Subscribe {
			t.Allowed = !refused[refusal{"subscribe", t.Subject, t.Queue}]
			continue
		}
		t.Allowed = passed[reply(i)]
		if t.Allowed == refused[refusal{"publish", t.Subject, ""}] {
			return errors.New("this NATS does not say which messages it refuses")
		}
	}
	return nil
}
