package cli

import (
	"context"
	"os"
	"slices"
	"strconv"
	"time"

	"flickrkillr/ops/lab/bench"
	"flickrkillr/ops/lab/cputime"
	"flickrkillr/ops/pool"
	"flickrkillr/ops/stack"
	"flickrkillr/schema/wire"
)

// measuredServers are the processes on this machine whose time a benchmark measures: a running `up`, all that it has
// started, and roles that were started beside it for the same site. If no `up` runs, the list is empty.
func measuredServers(s *session) []bench.Server {
	pid, ok := stack.Holder(s.data)
	if !ok {
		return nil
	}
	servers := []bench.Server{{Name: "up", PID: pid}}
	beside, err := rolesBeside(s, pid)
	if err != nil {
		s.log.Warn("the time of roles that were started beside up is not measured", "err", err)
	}
	return append(servers, beside...)
}

// rolesBeside asks the bus for roles that run on this machine and are no children of `up`.
func rolesBeside(s *session, up int) (beside []bench.Server, err error) {
	children, err := cputime.Tree(up)
	if err != nil {
		return nil, err
	}
	bus, err := (&busFlags{}).join(s, wire.RoleOperator, "bench")
	if err != nil {
		return nil, err
	}
	defer bus.Close()
	ctx, cancel := context.WithTimeout(s.ctx, 2*time.Second)
	defer cancel()
	if err := bus.Conn.FlushWithContext(ctx); err != nil { // it is connected then
		return nil, err
	}
	shot, err := pool.NewGatherer(bus.Conn, "").Gather(ctx)
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	for _, i := range shot.Instances {
		pid, err := strconv.Atoi(i.Metadata["pid"])
		if err != nil || i.Metadata["host"] != host ||
			slices.ContainsFunc(children, func(p cputime.Process) bool { return p.PID == pid }) ||
			slices.ContainsFunc(beside, func(b bench.Server) bool { return b.PID == pid }) {
			continue
		}
		beside = append(beside, bench.Server{Name: i.Name, PID: pid})
	}
	return beside, nil
}
