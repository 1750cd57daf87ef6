package bench

import (
	"errors"
	"slices"
	"strings"
	"time"

	"flickrkillr/ops/lab/cputime"
)

// CPU is the processor time of the processes of one name during the counted time.
type CPU struct {
	Name       string  `json:"name"`
	Processes  int     `json:"processes"`
	Seconds    float64 `json:"seconds"`            // of processor time, user and system
	PerRequest float64 `json:"per_request_micros"` // for each request of any kind
	PerPage    float64 `json:"per_page_micros"`
}

// costs is the processor time used up to a moment.
type costs struct {
	used      map[string]time.Duration // by name
	processes map[string]int
	self      time.Duration
	unknown   string // why processor time is unknown
}

func (r *run) costs() costs {
	c := costs{used: map[string]time.Duration{}, processes: map[string]int{}}
	var err error
	if c.self, err = cputime.Self(); err != nil {
		c.unknown = err.Error()
	}
	for _, server := range r.cfg.Servers {
		tree, err := cputime.Tree(server.PID)
		if err != nil {
			c.unknown = server.Name + ": " + err.Error()
			if errors.Is(err, cputime.ErrUnknown) {
				c.unknown = err.Error()
			}
			continue
		}
		for _, p := range tree {
			name := nameOf(server, tree[0], p)
			c.used[name] += p.Used
			c.processes[name]++
		}
	}
	return c
}

// nameOf names a process of a server's tree. A process of the same program as the server is named by its first
// argument, if that is a word, as in `killr edge`; otherwise by the server.
func nameOf(server Server, root, p cputime.Process) string {
	switch {
	case p.PID == root.PID:
		return server.Name
	case p.Command != root.Command:
		return p.Command
	case len(p.Args) > 1 && p.Args[1] != "" && strings.Trim(p.Args[1], "abcdefghijklmnopqrstuvwxyz") == "":
		return p.Args[1]
	}
	return server.Name
}

// spent is the processor time of each name between two moments, the largest first. The time of a process that ended in
// between is included in its parent.
func spent(before, after costs, requests, pages int64) []CPU {
	var all []CPU
	for name, used := range after.used {
		all = append(all, newCPU(name, after.processes[name], used-before.used[name], requests, pages))
	}
	slices.SortFunc(all, func(a, b CPU) int {
		if a.Seconds != b.Seconds {
			return map[bool]int{true: -1, false: 1}[a.Seconds > b.Seconds]
		}
		return strings.Compare(a.Name, b.Name)
	})
	return all
}

func newCPU(name string, processes int, used time.Duration, requests, pages int64) CPU {
	c := CPU{Name: name, Processes: processes, Seconds: used.Seconds()}
	if requests > 0 {
		c.PerRequest = used.Seconds() * 1e6 / float64(requests)
	}
	if pages > 0 {
		c.PerPage = used.Seconds() * 1e6 / float64(pages)
	}
	return c
}
