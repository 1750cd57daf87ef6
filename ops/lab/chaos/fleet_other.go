//go:build !linux

package chaos

import (
	"context"
	"errors"
	"runtime"
)

// fleetSite is a site on machines, which take Linux.
type fleetSite struct{}

func (*fleetSite) stop() error { return nil }

// FleetPossible says why this computer cannot run a fleet of machines.
func FleetPossible() error {
	return errors.New("a fleet of machines needs Linux, and this is " + runtime.GOOS)
}

func (*Config) startFleet(context.Context, *scene) error { return FleetPossible() }

func (*Config) visitAndWrite(context.Context, Row, *scene, *Outcome) error { return FleetPossible() }

func fleetRows() []Row { return nil }
