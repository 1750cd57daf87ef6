package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Status prints what each host runs, and what the roles say of it.
func Status(ctx context.Context, o Options) error {
	o.Plan, o.reads = true, true // it takes no lock
	return o.run(ctx, func(ctx context.Context, d *deployment) error {
		var roles figures
		var asking error
		for _, host := range d.hosts {
			if s := d.have[host]; s.current != "" {
				if roles, asking = d.remote.ask(ctx, host, s.inForce()); asking == nil {
					break
				}
			}
		}
		for _, host := range d.hosts {
			d.status(host, roles)
		}
		if asking != nil {
			d.say("%v", asking)
		}
		return nil
	})
}

func (d *deployment) status(host string, roles figures) {
	s := d.have[host]
	words := []string{"runs nothing yet"}
	if p := s.inForce(); p.release != "" {
		words = []string{"release " + p.release, "configuration " + p.config}
	}
	if s.drained {
		words = append(words, "drained")
	}
	if s.locked != "" {
		words = append(words, "deployed by "+s.locked)
	}
	for _, path := range s.drift {
		words = append(words, path+" was changed by hand")
	}
	d.say("%s: %s", host, strings.Join(words, ", "))
	for _, i := range s.instances {
		line := fmt.Sprintf("  %-28s %-10s %s", i.unit(), i.active, i.release)
		if one, there := roles[processOf(s, i.pid)]; there {
			var t tally
			for _, e := range one.Endpoints {
				t.requests += e.NumRequests
				t.failed += e.NumErrors
			}
			line += fmt.Sprintf("  version %s, %d requests, %d failed", one.Version, t.requests, t.failed)
		} else if i.active == "active" && slices.Contains(rollOrder, i.role) {
			line += "  not on the bus"
		}
		for _, m := range d.members() {
			if i.role == rolePostgres && m.name == host {
				line += "  " + m.String()
			}
		}
		d.say("%s", line)
	}
}
