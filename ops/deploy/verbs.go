package deploy

import (
	"cmp"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"flickrkillr/schema/wire"
)

// Options are what all commands take.
type Options struct {
	Site    *Site
	Binary  string        // the release: a killr for Linux; Deploy needs it
	Out     io.Writer     // each step, a line
	Plan    bool          // say the steps, and change nothing
	Without []string      // hosts that are left alone, such as one that is away
	Watch   time.Duration // how long a new instance is compared with old ones before the next one

	out *sync.Mutex
}

// Deploy brings all hosts to the release and the configuration of site.toml. When a new instance does not start, or is
// worse than those of before, it takes everything back; the error says why.
func Deploy(ctx context.Context, o Options) error {
	return o.run(ctx, func(ctx context.Context, d *deployment) error {
		if err := d.readRelease(); err != nil {
			return err
		}
		in := d.deployed(d.release)
		err := d.carryOut(ctx, in)
		if failed, ok := errors.AsType[*startError](err); ok && ctx.Err() == nil {
			if back := d.revert(ctx, failed, in.want[failed.step.host].pair.deployment); back != nil {
				if errors.Is(back, errNoneBefore) {
					return fmt.Errorf("%w\n%w: correct the cause and deploy again", err, back)
				}
				return fmt.Errorf("%w\ngoing back failed too: %w: run `killr rollback`", err, back)
			}
			return fmt.Errorf("the release was taken back: %w", err)
		}
		return err
	})
}

// Rollback brings all hosts back to what was in force before the last deployment. The database stays as it is: a
// migration only expands it.
func Rollback(ctx context.Context, o Options) error {
	return o.run(ctx, func(ctx context.Context, d *deployment) error {
		target, err := rollbackTo(d.hosts, d.have)
		if err != nil {
			return err
		}
		in := intent{hosts: d.hosts, want: map[string]want{}, together: true}
		for _, host := range d.hosts {
			s := d.have[host]
			before, _ := s.before()
			switch target.deployment {
			case s.inForce().deployment:
				in.want[host] = d.wantOf(host, s.inForce(), false)
			case before.deployment:
				in.want[host] = d.wantOf(host, before, true)
			default: // the host came later
				in.want[host] = d.wantOf(host, pair{target.release, d.configs[host].hash, target.deployment}, false)
			}
		}
		return d.carryOut(ctx, in)
	})
}

// rollbackTo finds what was in force before the last deployment. If hosts differ, a deployment or a rollback was cut
// short, and the last deployment is that which only some of them have.
func rollbackTo(hosts []string, have map[string]*state) (pair, error) {
	for _, host := range hosts {
		now, before := have[host].inForce(), pair{}
		if p, ok := have[host].before(); ok {
			before = p
		}
		unfinished := false
		for _, other := range hosts {
			s := have[other]
			theirs, known := s.inForce(), len(s.history) > 0
			if known && theirs.deployment != now.deployment {
				unfinished = true
				if theirs.deployment == before.deployment { // this host is ahead
					return before, nil
				}
			}
			if s.cameBack() {
				return now, nil
			}
		}
		if !unfinished && before != (pair{}) {
			return before, nil
		}
	}
	return pair{}, errors.New("no host has had another release in force before")
}

// cameBack reports whether instances run neither what is in force nor what was before: a rollback was going away from
// that, and did not end.
func (s *state) cameBack() bool {
	before, _ := s.before()
	return slices.ContainsFunc(s.instances, func(i instance) bool {
		of := func(p pair) bool { return i.release == p.release && i.config == s.configs[p.config][i.role] }
		return i.release != "" && i.config != "" && !of(s.inForce()) && !of(before)
	})
}

// Add brings one host to what the others run, and lets a drained one run again. Others are left alone.
func Add(ctx context.Context, o Options, name string) error {
	return o.run(ctx, func(ctx context.Context, d *deployment) error {
		host := d.Site.host(name)
		if host == nil {
			return fmt.Errorf("%s has no host %s: add [[host]] with its name and roles", d.Site.Path, name)
		}
		if !slices.Contains(d.hosts, name) {
			return fmt.Errorf("%s is left out by --without", name)
		}
		var others []string
		for _, h := range d.hosts {
			if h != name && d.have[h].current != "" {
				others = append(others, h)
			}
		}
		if len(others) == 0 {
			return errors.New("no other host runs anything: use `killr deploy`")
		}
		now, err := d.settled(others)
		if err != nil {
			return err
		}
		if err := d.readRelease(); err != nil {
			return err
		}
		d.drains[name] = false
		w := d.wantOf(name, pair{now.release, d.configs[name].hash, now.deployment}, false)
		return d.carryOut(ctx, intent{hosts: []string{name}, want: map[string]want{name: w}})
	})
}

// Drain lets other hosts start what one host runs, and then stops all on it. It runs nothing until Add.
func Drain(ctx context.Context, o Options, name string) error {
	return o.run(ctx, func(ctx context.Context, d *deployment) error {
		if !slices.Contains(d.hosts, name) {
			return fmt.Errorf("%s has no host %s", d.Site.Path, name)
		}
		if _, err := d.settled(d.hosts); err != nil {
			return err
		}
		return d.carryOut(ctx, d.unchanged(name))
	})
}

// Scale changes the number of instances of a role in site.toml, and starts or stops some.
func Scale(ctx context.Context, o Options, role wire.Role, n int) error {
	if n < 0 || n > maxCount {
		return fmt.Errorf("%d instances are not possible: 0 to %d", n, maxCount)
	}
	return o.run(ctx, func(ctx context.Context, d *deployment) error {
		if len(d.Site.with(role)) == 0 && n > 0 {
			return fmt.Errorf("%s has no host with the role %s", d.Site.Path, role)
		}
		text, err := os.ReadFile(d.Site.Path)
		if err != nil {
			return err
		}
		if text, err = setCount(text, role, n); err != nil {
			return err
		}
		if _, err := d.settled(d.hosts); err != nil {
			return err
		}
		if !d.Plan {
			if err := replaceFile(d.Site.Path, text); err != nil {
				return err
			}
		}
		d.Site.Counts[role] = n
		return d.carryOut(ctx, d.unchanged(""))
	})
}

// run connects to the hosts, takes the lock unless nothing is changed, reads what hosts have, and does work.
func (o Options) run(ctx context.Context, work func(context.Context, *deployment) error) (err error) {
	o.out = &sync.Mutex{}
	d := &deployment{Options: o, configs: map[string]config{}, drains: map[string]bool{}}
	for _, host := range o.Without {
		if o.Site.host(host) == nil {
			return fmt.Errorf("%s has no host %s", o.Site.Path, host)
		}
	}
	for _, h := range o.Site.Hosts {
		if !slices.Contains(o.Without, h.Name) {
			d.hosts = append(d.hosts, h.Name)
		}
	}
	if len(d.hosts) == 0 {
		return errors.New("no host is left")
	}
	if d.remote, err = newRemote(); err != nil {
		return err
	}
	defer d.remote.close()
	if !o.Plan {
		held, l, err := takeLock(ctx, d.remote, d.hosts[0])
		if err != nil {
			return err
		}
		defer l.release()
		ctx = held
	}
	if err := d.read(ctx); err != nil {
		return fmt.Errorf("%w\n--without HOST leaves a host alone that is away", err)
	}
	if err := d.makeConfigs(); err != nil {
		return err
	}
	if err := work(ctx, d); err != nil {
		return cmp.Or(lost(ctx), err)
	}
	return nil
}

// lost is why the lock was lost, or the command told to stop.
func lost(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return context.Cause(ctx)
}

// read reads what all hosts have.
func (d *deployment) read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	states := make([]*state, len(d.hosts))
	errs := make([]error, len(d.hosts))
	var reading errgroup.Group
	for i, host := range d.hosts {
		reading.Go(func() error {
			text, err := d.remote.run(ctx, call{host: host, script: scriptOf("facts")})
			if err == nil {
				states[i], err = parseFacts(text)
			}
			errs[i] = err
			return nil
		})
	}
	_ = reading.Wait() // errs has each
	if err := errors.Join(errs...); err != nil {
		return err
	}
	d.have = map[string]*state{}
	for i, host := range d.hosts {
		d.have[host] = states[i]
	}
	return nil
}

// machines names the processors by what uname says.
var machines = map[elf.Machine]string{elf.EM_X86_64: "x86_64", elf.EM_AARCH64: "aarch64"}

// readRelease reads the binary's hash, and refuses one that a host cannot run.
func (d *deployment) readRelease() error {
	binary, err := os.Open(d.Binary)
	if err != nil {
		return err
	}
	defer func() { _ = binary.Close() }()
	sum := sha256.New()
	if _, err := io.Copy(sum, binary); err != nil {
		return fmt.Errorf("read %s: %w", d.Binary, err)
	}
	d.release = hex.EncodeToString(sum.Sum(nil))[:hashLength]
	program, err := elf.NewFile(binary)
	if err != nil {
		return nil // a script, which the hosts run if they can
	}
	for _, host := range d.hosts {
		if is := machines[program.Machine]; is != "" && d.have[host].machine != is {
			return fmt.Errorf("%s is a program for %s, and %s is %s: say --binary, one that is for all hosts",
				d.Binary, is, host, d.have[host].machine)
		}
	}
	return nil
}

// makeConfigs makes the configuration of each host.
func (d *deployment) makeConfigs() error {
	for _, h := range d.Site.Hosts {
		made, err := d.Site.configOf(h)
		if err != nil {
			return err
		}
		d.configs[h.Name] = made
	}
	return nil
}

// deployed is what a deployment of a release is to lead to.
func (d *deployment) deployed(release string) intent {
	sum := sha256.New()
	fmt.Fprintln(sum, release)
	for _, h := range d.Site.Hosts {
		fmt.Fprintln(sum, h.Name, d.configs[h.Name].hash)
	}
	id := hex.EncodeToString(sum.Sum(nil))[:hashLength]
	in := intent{hosts: d.hosts, want: map[string]want{}, compare: true}
	for _, host := range d.hosts {
		in.want[host] = d.wantOf(host, pair{release, d.configs[host].hash, id}, false)
		if in.migrate == "" && d.Site.host(host).Runs(wire.RoleRenderer) {
			in.migrate = host
			in.migrated = release + " " + hashOf([]file{{content: []byte(d.Site.Services.Postgres)}})
		}
	}
	return in
}

// unchanged is what hosts are to have when release and configuration stay. drained is a host that is to run nothing
// from now on; "": none.
func (d *deployment) unchanged(drained string) intent {
	if drained != "" {
		d.drains[drained] = true
	}
	in := intent{hosts: d.hosts, want: map[string]want{}}
	for _, host := range d.hosts {
		if d.have[host].current != "" {
			in.want[host] = d.wantOf(host, d.have[host].inForce(), false)
		}
	}
	in.hosts = slices.DeleteFunc(slices.Clone(d.hosts), func(h string) bool { return in.want[h].pair == pair{} })
	return in
}

// settled is what hosts have in force, if all have the same.
func (d *deployment) settled(hosts []string) (now pair, err error) {
	for _, host := range hosts {
		p := d.have[host].inForce()
		if p == (pair{}) {
			continue
		}
		if now == (pair{}) {
			now = p
		}
		if p.deployment != now.deployment {
			return now, fmt.Errorf("%s has %s in force, and others %s: a deployment was cut short: "+
				"run `killr deploy` or `killr rollback`", host, p.release, now.release)
		}
	}
	if now == (pair{}) {
		return now, errors.New("nothing was deployed: run `killr deploy`")
	}
	return now, nil
}

// wantOf is what a host is to have, with a release and a configuration.
func (d *deployment) wantOf(host string, p pair, back bool) want {
	w := want{pair: p, count: d.spread()[host], drained: d.drained(host), back: back}
	if made := d.configs[host]; made.hash == p.config {
		w.config = made.roles
	} else {
		w.config = d.have[host].configs[p.config]
	}
	if made, ok := d.configs[host]; ok && d.Site.host(host).Runs(wire.RoleEdge) {
		w.sockets = made.sockets()
	}
	return w
}

// drained reports whether a host is to run nothing.
func (d *deployment) drained(host string) bool {
	if drains, said := d.drains[host]; said {
		return drains
	}
	s := d.have[host]
	return s != nil && s.drained // of one that is away nothing is known
}

// spread says how many instances of each role a host is to run: as many as the others, those first in the file one more
// if they do not come out even. Hosts that are away keep theirs.
func (d *deployment) spread() map[string]map[wire.Role]int {
	all := map[string]map[wire.Role]int{}
	for _, h := range d.Site.Hosts {
		all[h.Name] = map[wire.Role]int{}
	}
	for _, role := range rollOrder {
		var able []string
		for _, h := range d.Site.with(role) {
			if !d.drained(h.Name) {
				able = append(able, h.Name)
			}
		}
		n := d.Site.Counts[role]
		if role == wire.RoleEdge {
			n = len(able)
		}
		for i, host := range able {
			all[host][role] = n / len(able)
			if i < n%len(able) {
				all[host][role]++
			}
		}
	}
	return all
}

// carryOut does what is to be done, or says it.
func (d *deployment) carryOut(ctx context.Context, in intent) error {
	stages := planOf(in, d.have)
	if d.Plan {
		d.print(stages)
		return nil
	}
	if len(stages) == 0 {
		d.say("nothing to do")
		return nil
	}
	return d.do(ctx, in, stages)
}

// Status prints what each host runs, and what the roles say of it.
func Status(ctx context.Context, o Options) error {
	o.Plan = true // it takes no lock
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
		line := fmt.Sprintf("  %-28s %-10s %s", i.unit(), i.active, cmp.Or(i.release, "no release"))
		if one, there := roles[processOf(s, i.pid)]; there {
			var t tally
			for _, e := range one.Endpoints {
				t.requests += e.NumRequests
				t.failed += e.NumErrors
			}
			line += fmt.Sprintf("  version %s, %d requests, %d failed", one.Version, t.requests, t.failed)
		} else if i.active == "active" {
			line += "  not on the bus"
		}
		d.say("%s", line)
	}
}
