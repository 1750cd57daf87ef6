package chaos

import (
	"errors"
	"fmt"

	"flickrkillr/ops/site"
	"flickrkillr/ops/stack"
)

// Running is a site that runs already, for other visitors too.
type Running struct {
	Edges    []string  // addresses, such as http://127.0.0.1:8080
	Services stack.Env // where its services are
}

// OnRunning returns those of some rows that can be run on a running site: their faults need nothing but the addresses
// of its services, and their visitors only read.
func OnRunning(rows []Row) (some []Row) {
	for _, r := range rows {
		if r.Addresses {
			some = append(some, r)
		}
	}
	return some
}

// Check says why the rows cannot be run on the site that the configuration names.
func (cfg *Config) Check() error {
	if (cfg.Stack == nil) == (cfg.Running == nil) || len(cfg.Rows) == 0 {
		return errors.New("chaos: either a stack or a running site, and rows, are needed")
	}
	if cfg.Running == nil {
		return nil
	}
	if cfg.Control {
		return errors.New("chaos: a control is run on a site of its own: leave --control or --edge out")
	}
	for _, r := range cfg.Rows {
		if !r.Addresses {
			return fmt.Errorf("chaos: the row %q needs a site of its own: leave it or --edge out", r.Name)
		}
	}
	return nil
}

// join makes the running site what can be broken.
func (r *Running) join(on *scene) {
	on.edges, on.site = r.Edges, site.New(site.Config{Services: r.Services}) // without roles: it only injects faults
}
