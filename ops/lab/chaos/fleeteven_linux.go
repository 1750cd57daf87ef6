package chaos

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"flickrkillr/ops/pool"
	"flickrkillr/schema/wire"
)

// requests are how many requests each renderer has answered, by its id. A busy one may answer too late to be counted,
// so they are asked again.
func (f *fleetSite) requests(ctx context.Context) (all map[string]int64, err error) {
	const tries = 20
	for range tries {
		shot, err := pool.NewGatherer(f.operator, wire.RoleRenderer).Gather(ctx)
		if err != nil {
			return nil, err
		}
		all = map[string]int64{}
		for _, i := range shot.Instances {
			for _, e := range i.Endpoints {
				all[i.ID] += int64(e.NumRequests)
			}
		}
		if len(all) == len(f.hosts[wire.RoleRenderer]) {
			return all, nil
		}
	}
	return nil, fmt.Errorf("%d of %d renderers say how much they answered", len(all), len(f.hosts[wire.RoleRenderer]))
}

// connections are how many connections of machines each nats-server has, as its machine counts them.
func (f *fleetSite) connections(ctx context.Context) (all []int64, err error) {
	// The fourth column is the other end; 10.77.0.254 is where this program connects from.
	const count = `ss -Htn state established '( sport = :4222 )' | awk '$4 !~ /10\.77\.0\.254/' | wc -l`
	for _, m := range f.hosts["nats"] {
		out, err := m.Run(ctx, count)
		if err != nil {
			return nil, err
		}
		n, err := strconv.ParseInt(strings.TrimSpace(out), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("count the connections of %s: %w", m.Name, err)
		}
		all = append(all, n)
	}
	return all, nil
}
