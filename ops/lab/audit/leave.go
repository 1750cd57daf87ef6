package audit

import (
	"context"
	"fmt"
	"net/url"

	schema "flickrkillr/schema/page"
)

// leave ends all sessions and removes the accounts.
func (p *people) leave(ctx context.Context) error {
	if len(p.members) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
	defer cancel()
	var names []string
	for i, m := range p.members {
		names = append(names, m.name)
		edge := p.a.cfg.Edges[i%len(p.a.cfg.Edges)]
		for _, s := range m.browsers {
			if s.Token == "" {
				continue
			}
			// Where that fails, the sessions are of nobody from now on, as the account is removed.
			_, err := p.web.Post(ctx, edge, schema.PrivateSessions.Path(), s, url.Values{"end": {"all"}})
			if err != nil {
				p.a.log.Debug("the sessions of a member are not ended", "err", err)
			}
			break
		}
	}
	p.guestsMu.Lock()
	names = append(names, p.guests...)
	p.guestsMu.Unlock()
	for _, sql := range []string{
		"DELETE FROM photos WHERE user_id = ANY (SELECT id FROM users WHERE name = ANY ($1))",
		"DELETE FROM albums WHERE user_id = ANY (SELECT id FROM users WHERE name = ANY ($1))",
		"DELETE FROM users WHERE name = ANY ($1)", "DELETE FROM deletions WHERE name = ANY ($1)",
		"DELETE FROM kept_names WHERE name = ANY ($1)",
	} {
		if _, err := p.a.cfg.Pool.Exec(ctx, sql, names); err != nil {
			return fmt.Errorf("audit: remove the accounts whose names begin with %s: %w", NamePrefix, err)
		}
	}
	return nil
}
