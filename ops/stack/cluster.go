package stack

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// prepare makes sure that the cluster can be started: it exists, its user can read it, its version is installed, and
// its password is known.
func (p *Postgres) prepare(ctx context.Context) error {
	if p.cfg.Dir == "" {
		return errors.New("no folder given")
	}
	dir, err := filepath.Abs(p.cfg.Dir)
	if err != nil {
		return err
	}
	p.cfg.Dir = dir
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	// Without symbolic links: a server left over from an earlier run is recognised by its working directory.
	if p.cfg.Dir, err = filepath.EvalSymlinks(dir); err != nil {
		return err
	}
	if p.cluster, err = p.clusterPath(); err != nil {
		return err
	}
	if err := p.adoptOwner(); err != nil {
		return err
	}
	major, err := clusterMajor(p.cluster)
	if err != nil {
		return err
	}
	if p.programs, err = FindPostgres(major); err != nil {
		if missing := (*MissingError)(nil); major != 0 && !errors.As(err, &missing) {
			return fmt.Errorf("%w: install PostgreSQL %d, or move %s away to begin with empty data", err, major, dir)
		}
		return err
	}
	if major == 0 {
		if err := p.initCluster(ctx); err != nil {
			return err
		}
	}
	if p.password, err = readPassword(p.passwordPath()); err != nil {
		return err
	}
	if p.password == "" {
		return p.resetPassword(ctx)
	}
	return nil
}

// clusterPath is <Dir>/cluster, unless PostgreSQL's user has no access to it (a checkout in /root): then it is in
// /var/lib/killr under a name made from Dir, and <Dir>/cluster is a symbolic link to it.
func (p *Postgres) clusterPath() (string, error) {
	inside := filepath.Join(p.cfg.Dir, "cluster")
	ok, err := reachable(p.cfg.Dir, p.cred)
	if err != nil || ok {
		return inside, err
	}
	sum := sha256.Sum256([]byte(p.cfg.Dir))
	outside := filepath.Join("/var/lib/killr", hex.EncodeToString(sum[:8]))
	target, err := os.Readlink(inside)
	if err == nil && target == outside {
		return outside, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf(
			"PostgreSQL's user cannot reach %s: move the data directory, or make its parent folders passable (chmod o+x)",
			inside,
		)
	}
	// No link: the data directory is new, and a cluster of this name belonged to a deleted one.
	if err := os.RemoveAll(outside); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(outside), 0o755); err != nil {
		return "", err
	}
	return outside, os.Symlink(outside, inside)
}

// adoptOwner makes root run an existing cluster as the user that owns it: one that made it earlier without being root.
func (p *Postgres) adoptOwner() error {
	info, err := os.Stat(p.cluster)
	if errors.Is(err, os.ErrNotExist) || p.cred == nil {
		return nil
	}
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 {
		p.cred = &syscall.Credential{Uid: st.Uid, Gid: st.Gid}
	}
	return nil
}

// clusterMajor reads which major version wrote a cluster; 0 when there is none.
func clusterMajor(cluster string) (int, error) {
	data, err := os.ReadFile(filepath.Join(cluster, "PG_VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return 0, fmt.Errorf("%s/PG_VERSION: %w", cluster, err)
	}
	return major, nil
}

// initCluster makes the cluster under another name and renames it, so that an interrupted initdb leaves no
// cluster.
func (p *Postgres) initCluster(ctx context.Context) error {
	making := p.cluster + ".making"
	if err := os.RemoveAll(making); err != nil {
		return err
	}
	if err := os.Mkdir(making, 0o700); err != nil {
		return err
	}
	if err := give(making, p.cred); err != nil {
		return err
	}
	// Sorting by bytes keeps indexes small, quick and independent of the system's library; letters and their cases are
	// Unicode's, or full text search would know no capital É.
	ctype := "C.UTF-8"
	if runtime.GOOS == "darwin" {
		ctype = "en_US.UTF-8"
	}
	args := []string{
		"-D",
		making,
		"-U",
		superuser,
		"-E",
		"UTF8",
		"--locale=C",
		"--lc-ctype=" + ctype,
		"--auth=reject",
		"--no-instructions",
	}
	if p.cfg.Throwaway {
		args = append(args, "--no-sync")
	}
	cmd := p.command("initdb", args...)
	cmd.Dir = making
	if out, err := runToEnd(ctx, cmd); err != nil {
		return errors.Join(fmt.Errorf("initdb: %w: %s", err, strings.TrimSpace(string(out))), os.RemoveAll(making))
	}
	// Passwords, over loopback only: "trust" would admit every user of this machine.
	hba := "host all all 127.0.0.1/32 scram-sha-256\n"
	if p.cfg.Replicable {
		hba += "host replication " + superuser + " 127.0.0.1/32 scram-sha-256\n"
	}
	if err := os.WriteFile(filepath.Join(making, "pg_hba.conf"), []byte(hba), 0o600); err != nil {
		return err
	}
	if err := os.RemoveAll(p.cluster); err != nil { // a folder without PG_VERSION; empty, as a rule
		return err
	}
	if err := os.Rename(making, p.cluster); err != nil {
		return err
	}
	if err := os.Remove(p.passwordPath()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err // it belonged to an earlier cluster
	}
	return nil
}

// resetPassword sets a new password of the superuser, in single-user mode, which asks for none: for a new cluster, or
// when the password file is lost.
func (p *Postgres) resetPassword(ctx context.Context) error {
	if err := settlePIDFile(ctx, p.cluster); err != nil {
		return err
	}
	password := rand.Text()
	cmd := p.command("postgres", "--single", "-D", p.cluster, "postgres")
	cmd.Stdin = strings.NewReader("alter role " + superuser + " password '" + password + "'\n")
	if p.cfg.Throwaway {
		cmd.Args = append(cmd.Args[:2:2], append([]string{"-F"}, cmd.Args[2:]...)...) // -F: fsync off
	}
	out, err := runToEnd(ctx, cmd)
	if err == nil && strings.Contains(string(out), "ERROR:") { // single-user mode exits 0 all the same
		err = errors.New("refused")
	}
	if err != nil {
		return fmt.Errorf("set the superuser's password: %w: %s", err, strings.TrimSpace(string(out)))
	}
	if err := os.WriteFile(p.passwordPath(), []byte(password+"\n"), 0o600); err != nil {
		return err
	}
	p.password = password
	return nil
}

// passwordOf is a user's password. It is derived from the superuser's, so that one file is enough, and does not reveal
// it.
func (p *Postgres) passwordOf(user string) string {
	mac := hmac.New(sha256.New, []byte(p.password))
	mac.Write([]byte(user))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

func (p *Postgres) passwordPath() string { return filepath.Join(p.cfg.Dir, "password") }
func (p *Postgres) logPath() string      { return filepath.Join(p.cfg.Dir, "postgres.log") }

// readPassword returns "" when there is no such file, or an empty one.
func readPassword(path string) (string, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(data)), err
}

// runToEnd runs a command to its end, or kills it when ctx ends; it returns its standard error.
func runToEnd(ctx context.Context, cmd *exec.Cmd) ([]byte, error) {
	var out bytes.Buffer
	cmd.Stderr = &out
	c, err := StartChild(cmd, syscall.SIGKILL)
	if err != nil {
		return nil, err
	}
	select {
	case <-c.done:
		return out.Bytes(), c.err
	case <-ctx.Done():
		_ = c.stop(syscall.SIGKILL, time.Second) // it ends either way
		return out.Bytes(), ctx.Err()
	}
}
