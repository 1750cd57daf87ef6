package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
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

	out   *sync.Mutex
	reads bool // nothing is to be changed, so nothing is made for that
}

// Deploy brings all hosts to the release and the configuration of site.toml. When a new instance does not start, or is
// worse than those of before, it takes everything back; the error says why.
func Deploy(ctx context.Context, o Options) error {
	return o.run(ctx, func(ctx context.Context, d *deployment) error {
		if err := d.readRelease(); err != nil {
			return err
		}
		if err := d.checkMove(); err != nil {
			return err
		}
		in := d.deployed(d.release)
		repairs := d.inForceOnAll(in)
		err := d.carryOut(ctx, in)
		failed, ok := errors.AsType[*startError](err)
		if ok && repairs {
			return fmt.Errorf("%w\nall hosts had this deployment in force already, so nothing was taken back", err)
		}
		if ok && ctx.Err() == nil {
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
		pairs, back := map[string]pair{}, map[string]bool{}
		for _, host := range d.hosts {
			s := d.have[host]
			before, _ := s.before()
			switch target.deployment {
			case s.inForce().deployment:
				pairs[host] = s.inForce()
			case before.deployment:
				pairs[host], back[host] = before, true
			default: // the host came later
				pairs[host] = pair{target.release, d.configs[host].hash, target.deployment}
			}
		}
		return d.carryOut(ctx, d.goingBack(pairs, back))
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
		pairs := d.inForce()
		pairs[name] = pair{now.release, d.configs[name].hash, now.deployment}
		want := map[string]want{name: d.wants(pairs)[name]}
		return d.carryOut(ctx, intent{hosts: []string{name}, want: want})
	})
}

// Drain lets other hosts start what one host runs, and then stops all on it. It runs nothing until Add.
func Drain(ctx context.Context, o Options, name string) error {
	return o.run(ctx, func(ctx context.Context, d *deployment) error {
		if !slices.Contains(d.hosts, name) {
			return fmt.Errorf("%s has no host %s", d.Site.Path, name)
		}
		if err := d.canSpare(name); err != nil {
			return err
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
	if err := o.checkLeftOut(); err != nil && !o.reads {
		return err
	}
	if d.remote, err = newRemote(); err != nil {
		return err
	}
	defer d.remote.close()
	if !o.Plan {
		for _, host := range d.hosts { // all: commands that leave out different hosts meet at one of them
			held, l, err := takeLock(ctx, d.remote, host)
			if err != nil {
				return err
			}
			defer l.release()
			ctx = held
		}
	}
	if err := d.read(ctx); err != nil {
		return fmt.Errorf("%w\n--without HOST leaves a host alone that is away", err)
	}
	if !o.reads {
		temporary, err := d.makeSeeds()
		if temporary != "" {
			defer func() { _ = os.RemoveAll(temporary) }()
		}
		if err != nil {
			return err
		}
		if err := d.makeSecret(); err != nil {
			return err
		}
		if err := d.makeConfigs(); err != nil {
			return err
		}
		if err := d.checkMembers(); err != nil {
			return err
		}
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
	ctx, cancel := context.WithTimeout(ctx, unitLimit)
	defer cancel()
	script := scriptOf("facts")
	if !d.Plan {
		script = stepsEnded + script
	}
	states := make([]*state, len(d.hosts))
	errs := make([]error, len(d.hosts))
	var reading errgroup.Group
	for i, host := range d.hosts {
		reading.Go(func() error {
			text, err := d.remote.run(ctx, call{host: host, script: script})
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

// carryOut does what is to be done, or says it.
func (d *deployment) carryOut(ctx context.Context, in intent) error {
	stages := d.plan(in)
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
