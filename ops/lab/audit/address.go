package audit

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	schema "flickrkillr/schema/page"
)

// giveAddresses gives each member an e-mail address, as if they had confirmed it: no mail is sent. Only pages for the
// member may have it.
func (p *people) giveAddresses(ctx context.Context) error {
	for _, m := range p.members {
		address := strings.ToLower(rand.Text()) + "@mail.example"
		_, err := p.a.cfg.Pool.Exec(ctx,
			"UPDATE accounts SET email = $2 WHERE user_id = (SELECT id FROM users WHERE name = $1)", m.name, address)
		if err != nil {
			return fmt.Errorf("audit: give %s an e-mail address: %w", m.name, err)
		}
		p.noteAddress(m, address)
	}
	return nil
}

// noteAddress has the address of a member looked for.
func (p *people) noteAddress(m *member, address string) {
	m.address = address
	p.secrets.add(&secret{text: address, what: "an e-mail address", owner: m})
}

// countAddress counts a page that shows its member their own address: if none did, no other page could have it either.
func (p *people) countAddress(m *member, path string, body []byte) {
	if path == schema.PrivateMe.Path() && m.address != "" && strings.Contains(string(body), m.address) {
		p.leaks.addresses.Add(1)
	}
}
