package stack

import (
	"fmt"
	"io"
	"strings"

	"github.com/nats-io/nats-server/v2/server"

	"flickrkillr/schema/wire"
)

// Users are the users of a NATS server that lets each role do what the table names.
func Users(table []wire.Access, seeds Seeds) (all []*server.NkeyUser, err error) {
	keys, err := seeds.publicKeys()
	if err != nil {
		return nil, err
	}
	for _, a := range table {
		all = append(all, &server.NkeyUser{Nkey: keys[a.Role], Permissions: permissions(a)})
	}
	return all, nil
}

// answersEach is how often a request may be answered: without limit. NATS counts a second request with the same reply
// subject as an answer to the first.
const answersEach = -1

func permissions(a wire.Access) *server.Permissions {
	p := &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: a.Publish},
		Subscribe: &server.SubjectPermission{Allow: subscriptions(a)},
	}
	if a.Answers > 0 {
		p.Response = &server.ResponsePermission{MaxMsgs: answersEach, Expires: a.Answers}
	}
	return p
}

// subscriptions are what a role may subscribe to, as NATS writes it: the subject, and the queue group if there is one.
func subscriptions(a wire.Access) (all []string) {
	for _, l := range a.Subscribe {
		all = append(all, strings.TrimSpace(l.Subject+" "+l.Queue))
	}
	return all
}

// WriteAuthorization writes the part of nats-server's configuration that lets the roles sign in, with their public
// keys and the permissions of the table.
func WriteAuthorization(out io.Writer, seeds Seeds) error {
	keys, err := seeds.publicKeys()
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("authorization {\n  users = [\n")
	for _, a := range wire.AccessTable() {
		fmt.Fprintf(&b, "    { # %s\n      nkey: %s\n      permissions: {\n", a.Role, keys[a.Role])
		list := func(name string, subjects []string) {
			fmt.Fprintf(&b, "        %s: [\n", name)
			for _, s := range subjects {
				fmt.Fprintf(&b, "          %q\n", s)
			}
			b.WriteString("        ]\n")
		}
		list("publish", a.Publish)
		list("subscribe", subscriptions(a))
		if a.Answers > 0 {
			fmt.Fprintf(&b, "        allow_responses: { max: %d, expires: %q }\n", answersEach, a.Answers)
		}
		b.WriteString("      }\n    }\n")
	}
	b.WriteString("  ]\n}\n")
	_, err = io.WriteString(out, b.String())
	return err
}
