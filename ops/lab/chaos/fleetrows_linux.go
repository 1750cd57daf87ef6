package chaos

import (
	"context"
	"errors"
	"time"

	"flickrkillr/ops/fleet"
	"flickrkillr/ops/lab/bench"
	"flickrkillr/ops/lab/mutant"
	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

// threeMachines is the smallest fleet that should lose nothing when any one machine dies: each has every role.
var threeMachines = Setup{Machines: 3}

// away is how long a machine is away: longer than another one takes to become the primary of PostgreSQL in its place.
const away = 40 * time.Second

// aloneIn is a control: a role is on the first machine alone.
func aloneIn(role wire.Role) Control {
	return Control{Off: "the role " + string(role) + " on other machines", Setup: func(s *Setup) { s.Alone = role }}
}

// browsers are the visitors of a fleet: half of them ask for pages that others ask for too, half for pages that no
// cache has. They have the addresses of all edges.
func browsers(t Target) []Load {
	const patience = 2 * time.Second
	return []Load{
		{Name: "visits", Share: .5, Exponent: 1, Browsers: true, Failover: true, Patience: patience, Target: t,
			Pages: func(p Pages) []bench.Page { return p.Unwritten }, Follow: true},
		{Name: "never asked for", Share: .5, Browsers: true, Failover: true, Patience: patience, Target: t,
			Pages: func(p Pages) []bench.Page { return pagesBefore(p.Unwritten) }},
	}
}

// withoutHoming leaves connections where they went when their nats-server restarted.
var withoutHoming = []mutant.Edit{mutant.Replace(
	"ops/stack/bus.go", "		b.homing.Go(func() { home.keep(ctx, b.Conn, apart) })\n", "		_ = ctx\n",
)}

// failover is how long no write may be acknowledged after a machine is lost. For 20 s PostgreSQL's primary may be alive
// and cut off; then another one begins. A primary also waits so long for a replica that is lost.
const failover = 30 * time.Second

// fleetRows is the catalogue of what happens to machines.
func fleetRows() []Row {
	return []Row{
		{
			Name: "each machine dies in turn", Visitor: "another try, at another edge; writes wait for up to 30 s",
			Why: "each role is on the others too; the bus and etcd go on with two of three servers; " +
				"commits wait for a replica, which becomes the primary",
			Setup: threeMachines, Loads: browsers(Target{P99: 3 * time.Second}), Writes: true, Ready: time.Minute,
			Pause:   failover,
			Fault:   Fault{Every: 10 * time.Second, Hold: away, Turns: 3, Inject: die},
			Control: aloneIn(roleVoter),
		},
		{
			// For about a second after a machine is back, its edge reaches no renderer and trusts no copy.
			Name:    "each machine is cut off for 40 s in turn",
			Visitor: "another try, at another edge; a few a 503 that says when to retry; writes wait for up to 30 s",
			Why: "as above; a primary that is cut off gets no commit acknowledged, and ends; and when the machine is " +
				"back, its edge trusts no copy until it knows what it missed",
			Setup: threeMachines, Writes: true, Ready: time.Minute, Pause: failover,
			Loads:   browsers(Target{Bad: .005, P99: 3 * time.Second}),
			Fault:   Fault{Every: 10 * time.Second, Hold: away, Turns: 3, Inject: cutOff},
			Control: aloneIn(roleDatabase),
		},
		{
			Name:    "each machine is 50 ms away and loses 5% for 30 s in turn",
			Visitor: "slower pages, by way of that machine",
			Why:     "a request without an answer is sent to another renderer; other edges have other nats-servers",
			Setup:   threeMachines, Writes: true, Ready: time.Minute, Pause: failover,
			Loads:   browsers(Target{P50: 100 * time.Millisecond, P99: 3 * time.Second}),
			Fault:   Fault{Every: 10 * time.Second, Hold: 30 * time.Second, Turns: 3, Inject: slowDown},
			Control: aloneIn(wire.RoleRenderer),
		},
		{
			Name:    "each machine restarts in turn",
			Visitor: "another try, at another edge; writes wait for some seconds",
			Why: "what stops finishes its requests, and each role is on the others too; a primary that stops waits " +
				"until a replica has all",
			Setup: threeMachines, Loads: browsers(Target{P99: 3 * time.Second}), Writes: true, Ready: time.Minute,
			Pause:   15 * time.Second,
			Fault:   Fault{Every: 10 * time.Second, Turns: 3, Inject: restart},
			Control: aloneIn(wire.RoleEdge),
		},
		{
			Name: "one of three servers of NATS restarts", Visitor: "nothing",
			Why:   "clients go to other servers before it stops, and back within 40 s",
			Setup: threeMachines, Loads: browsers(Target{P99: time.Second}), Writes: true, Ready: time.Minute,
			Even: true, Fault: Fault{Every: 20 * time.Second, Turns: 1, Inject: restartBusServer},
			Control: Control{Off: "going back", Edits: withoutHoming},
		},
	}
}

// machine is the n-th machine, or the one of that turn.
func (s *scene) machine(n int) *fleet.Machine {
	all := s.fleet.machines.Machines
	return all[n%len(all)]
}

// die takes a machine's power away: its cable goes first, so that nobody is told. Then it is booted again.
func die(ctx context.Context, s *scene, n int, hold time.Duration) error {
	m := s.machine(n)
	if err := m.Kill(ctx); err != nil {
		return err
	}
	sleep.For(ctx, hold)
	return m.Boot(ctx)
}

// cutOff pulls a machine's cable for a while.
func cutOff(ctx context.Context, s *scene, n int, hold time.Duration) error {
	m := s.machine(n)
	if err := m.Cut(ctx); err != nil {
		return err
	}
	sleep.For(ctx, hold)
	return m.Join(ctx)
}

// slowDown makes a machine's cable slow for a while.
func slowDown(ctx context.Context, s *scene, n int, hold time.Duration) error {
	m := s.machine(n)
	if err := m.Slow(ctx, fleet.Slowness{Delay: 50 * time.Millisecond, Lost: .05}); err != nil {
		return err
	}
	sleep.For(ctx, hold)
	return m.Slow(ctx, fleet.Slowness{})
}

// shutDownLimit bounds how long systemd takes to stop everything on a machine: PostgreSQL takes 120 s at most.
const shutDownLimit = 150 * time.Second

// restart shuts a machine down, as before a change of its hardware or kernel, and boots it.
func restart(ctx context.Context, s *scene, n int, _ time.Duration) error {
	m := s.machine(n)
	ended := m.Ended()
	if _, err := m.Run(ctx, "systemctl poweroff --no-block"); err != nil {
		return err
	}
	stopping, cancel := context.WithTimeout(ctx, shutDownLimit)
	defer cancel()
	select {
	case <-ended:
	case <-stopping.Done():
		return errors.Join(stopping.Err(), errors.New(m.Name+" does not shut down"))
	}
	return m.Boot(ctx)
}

// restartBusServer restarts a machine's nats-server.
func restartBusServer(ctx context.Context, s *scene, n int, _ time.Duration) error {
	_, err := s.machine(n).Run(ctx, "systemctl restart killr-nats.service")
	return err
}
