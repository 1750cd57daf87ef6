package site

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"flickrkillr/ops/stack"
	"flickrkillr/schema/wire"
)

// ProcessConfig says how roles run as processes.
type ProcessConfig struct {
	Program string   // path of killr; "": this program
	Data    string   // the data directory that processes are given
	Args    []string // for every process
	// Added to the environment of every process, which otherwise has the site's addresses and none of the shell's.
	Env   []string
	EnvOf func(name string) []string // and to that of the one with this name, such as "edge-2"; may be nil

	EdgeArgs []string  // for edges alone
	Output   io.Writer // what processes print; nil: os.Stderr
	Share    int       // processes that share the processors of the machine, see processorShare; 0: no limit
}

// Process is a program to run. Command returns a fresh command for each start.
type Process struct {
	Name    string
	Ready   string // a URL that answers with 200 once the program serves; "": none
	Command func() *exec.Cmd
}

// readyPath is where a debug listener says whether its roles are ready.
const readyPath = "/readyz"

// defaultStop is the time in which a role finishes its requests unless its Config says another.
const defaultStop = 15 * time.Second

// addProcess starts a role as a supervised process.
func (s *Site) addProcess(group *Group, role Role, name string) (*running, error) {
	p, addr, err := s.process(role, name)
	if err != nil {
		return nil, err
	}
	k := stack.Supervise(name, s.stopTimeout(role)+2*time.Second, s.log, p.Command)
	if p.Ready != "" { // otherwise nobody can tell when the next one's turn comes
		k.InTurn(s.turnsOf(role), func(ctx context.Context) error {
			_, err := Get(ctx, debugClient, p.Ready)
			return err
		})
	}
	return &running{
		role:    role,
		name:    name,
		addr:    addr,
		ready:   p.Ready,
		process: k,
		member:  group.Add(name, k.Run),
	}, nil
}

// turnBound is how long a process that has ended waits at most for another of its role that is starting. A usual start
// takes a tenth of that; one that waits for its services keeps nobody up for longer.
const turnBound = 2 * time.Second

// turnsOf are the turns in which processes of a role start again.
func (s *Site) turnsOf(role Role) *stack.Turns {
	if s.turns[role] == nil {
		s.turns[role] = stack.NewTurns(turnBound)
	}
	return s.turns[role]
}

// stopTimeout is how long a role may take to finish its requests.
func (s *Site) stopTimeout(role Role) time.Duration {
	switch role {
	case Edge:
		return s.cfg.Edge.Drain + cmp.Or(s.cfg.Edge.StopTimeout, defaultStop)
	case Renderer:
		return cmp.Or(s.cfg.Renderer.StopTimeout, defaultStop)
	}
	return defaultStop
}

// Describe returns one more of a role as a process, for a caller that runs it, and where an edge's browsers find it.
func (s *Site) Describe(role Role) (p Process, url string, err error) {
	p, addr, err := s.process(role, string(role))
	if err == nil && addr != "" {
		url = s.url(addr)
	}
	return p, url, err
}

// process describes a role as a process. addr is an edge's.
func (s *Site) process(role Role, name string) (p Process, addr string, err error) {
	cfg := s.cfg.Processes
	program := cfg.Program
	if program == "" {
		if program, err = os.Executable(); err != nil {
			return p, "", fmt.Errorf("start %s: %w", name, err)
		}
	}
	command := []string{string(role)}
	if role == Bus {
		command = append(command, "serve")
	}
	args := slices.Concat(command, []string{"--data", cfg.Data}, cfg.Args)
	if s.cfg.DebugAddr != "" && role != Bus {
		debugAddr, err := NthAddr(s.cfg.DebugAddr, s.freeSlot())
		if err == nil {
			debugAddr, err = stack.ResolvePort(debugAddr)
		}
		if err != nil {
			return p, "", fmt.Errorf("debug listener: %w", err)
		}
		args = append(args, "--debug-addr", debugAddr)
		p.Ready = "http://" + debugAddr + readyPath
	}
	switch role {
	case Edge, Together:
		if addr, err = s.edgeAddr(); err == nil {
			addr, err = stack.ResolvePort(addr) // the process would keep a port of its own choice to itself
		}
		args = append(args, "--addr", addr)
		if role == Edge {
			args = append(args, "--edge-drain", s.cfg.Edge.Drain.String())
			redirect, wrong := s.redirectAddr()
			if wrong != nil {
				return p, "", wrong
			}
			if redirect != "" {
				args = append(args, "--redirect-addr", redirect)
			}
		}
		args = append(args, cfg.EdgeArgs...)
		if role == Together {
			args = append(args, "--dir", filepath.Join(cfg.Data, "together"), "--pictures", s.cfg.Pictures)
		}
	case Renderer:
		if s.cfg.Renderer.BaseURL != "" {
			args = append(args, "--base-url", s.cfg.Renderer.BaseURL)
		}
		if s.cfg.Pictures != "" {
			args = append(args, "--pictures", s.cfg.Pictures)
		}
		if s.cfg.PicturesAlso != "" {
			args = append(args, "--pictures-also", s.cfg.PicturesAlso)
		}
		if s.cfg.Renderer.Replicas > 0 {
			args = append(args, "--replicas", strconv.Itoa(s.cfg.Renderer.Replicas))
		}
	case Bus:
		_, port, wrong := net.SplitHostPort(strings.TrimPrefix(s.cfg.Services.NATS, "nats://"))
		args, err = append(args, "--port", port, "--dir", filepath.Join(cfg.Data, "bus-"+port)), wrong
	}
	if err != nil {
		return p, "", err
	}
	output := cmp.Or(cfg.Output, io.Writer(os.Stderr))
	env := slices.Concat(s.cfg.Services.Environ(os.Environ()), processorShare(cfg.Share), cfg.Env)
	if cfg.EnvOf != nil {
		env = append(env, cfg.EnvOf(name)...)
	}
	if seed := s.cfg.Services.Login(wire.Role(role)).Seed; seed != "" {
		env = append(env, "KILLR_NATS_SEED="+seed)
	}
	if ca := s.cfg.Services.NATSCA; ca != "" {
		env = append(env, "KILLR_NATS_CA="+ca)
	}
	env = withoutPictureKeys(role, env)
	p.Name = name
	p.Command = func() *exec.Cmd {
		cmd := exec.Command(program, args...)
		cmd.Env = env
		cmd.Stdout, cmd.Stderr = output, output
		return cmd
	}
	return p, addr, nil
}

// withoutPictureKeys is an environment without the keys of a bucket of pictures, for roles that do not use it.
func withoutPictureKeys(role Role, env []string) []string {
	if role == Renderer || role == Together {
		return env
	}
	return slices.DeleteFunc(env, func(v string) bool { return strings.HasPrefix(v, "AWS_") })
}

// processorShare is the environment in which so many processes of this program share a machine. A Go program that takes
// all processors for its own wakes and parks threads on them; with four processes on two processors that was a tenth of
// what a page costs. Twice the processors, over all processes, leave none idle. GOMAXPROCS, where it is set, is left
// alone.
func processorShare(processes int) []string {
	if processes == 0 || os.Getenv("GOMAXPROCS") != "" {
		return nil
	}
	all := runtime.GOMAXPROCS(0)
	return []string{"GOMAXPROCS=" + strconv.Itoa(min(all, max(1, (2*all+processes/2)/processes)))}
}
