package testenv

import (
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"flickrkillr/ops/stack"
	"flickrkillr/schema/wire"
)

// NATS starts an embedded nats-server with JetStream for this test and returns its URL. Who connects must sign in, as a
// role (ConnectAs, Seeds) or as one who may do everything (Connect).
func NATS(t testing.TB) string {
	t.Helper()
	return NATSServer(t).URL()
}

// NATSServer is NATS for tests that restart it.
func NATSServer(t testing.TB) *stack.NATS {
	t.Helper()
	return NATSIn(t, t.TempDir())
}

// NATSIn is NATSServer with its streams in a directory.
func NATSIn(t testing.TB, dir string) *stack.NATS {
	t.Helper()
	return NATSWith(t, stack.NATSConfig{Dir: dir})
}

// NATSWith is NATSServer with a configuration, to which it adds who may sign in.
func NATSWith(t testing.TB, cfg stack.NATSConfig) *stack.NATS {
	t.Helper()
	signIn := busKeys(t)
	cfg.Seeds, cfg.Any = signIn.seeds, signIn.anyKey
	n, err := stack.StartNATS(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Stop)
	return n
}

// Seeds are the seeds by which roles sign in to every nats-server of this package.
func Seeds(t testing.TB) stack.Seeds {
	t.Helper()
	return busKeys(t).seeds
}

// NATSFlags are the flags by which a command signs in to a nats-server of this package as a role.
func NATSFlags(t testing.TB, url string, role wire.Role) []string {
	t.Helper()
	return []string{"--nats", url, "--nats-seed", Seeds(t)[role]}
}

// NATSUsers are the users of every nats-server of this package, for a test that starts its own.
func NATSUsers(t testing.TB) []*server.NkeyUser {
	t.Helper()
	signIn := busKeys(t)
	users, err := stack.Users(wire.AccessTable(), signIn.seeds)
	if err != nil {
		t.Fatal(err)
	}
	return append(users, &server.NkeyUser{Nkey: signIn.anyKey})
}

// Connect connects to a nats-server as one who may do everything, for a test that plays several roles, and closes the
// connection when the test ends.
func Connect(t testing.TB, url string) *nats.Conn {
	t.Helper()
	return connect(t, stack.Login{URL: url, Seed: busKeys(t).anySeed})
}

// ConnectAs connects to a nats-server as a role does, and closes the connection when the test ends. What NATS refuses
// to the role fails the test.
func ConnectAs(t testing.TB, url string, role wire.Role) *nats.Conn {
	t.Helper()
	return connect(t, stack.Login{URL: url, Role: role, Seed: Seeds(t)[role]})
}

// ConnectForFiles is ConnectAs for the connection by which a role sends and gets the bytes of files.
func ConnectForFiles(t testing.TB, url string, role wire.Role) *nats.Conn {
	t.Helper()
	return join(t, stack.Login{URL: url, Role: role, Seed: Seeds(t)[role]}, stack.JoinBusForFiles)
}

func connect(t testing.TB, to stack.Login) *nats.Conn {
	t.Helper()
	return join(t, to, stack.JoinBus)
}

func join(
	t testing.TB, to stack.Login, by func(to stack.Login, name string, log *slog.Logger) (*stack.Bus, error),
) *nats.Conn {
	t.Helper()
	b, err := by(to, t.Name(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		closed := make(chan struct{})
		go func() { b.Close(); close(closed) }()
		select { // its handlers have run then
		case <-closed:
		case <-time.After(10 * time.Second):
			t.Error("the NATS connection did not close")
		}
		if refused := b.Refused(); len(refused) > 0 {
			t.Errorf("the bus refused to the role %s: %q", to.Role, refused)
		}
	})
	return b.Conn
}

// busAccess is how the nats-servers of a test process are signed in to.
type busAccess struct {
	once            sync.Once
	err             error
	seeds           stack.Seeds
	anySeed, anyKey string // of one who may do everything
}

var sharedAccess busAccess

func busKeys(t testing.TB) *busAccess {
	t.Helper()
	a := &sharedAccess
	dir := SharedDir(t)
	a.once.Do(func() { a.err = a.make(dir) })
	if a.err != nil {
		t.Fatal(a.err)
	}
	return a
}

func (a *busAccess) make(dir string) (err error) {
	if a.seeds, err = stack.MakeSeeds(dir); err != nil {
		return err
	}
	key, err := nkeys.CreateUser()
	if err != nil {
		return err
	}
	if a.anyKey, err = key.PublicKey(); err != nil {
		return err
	}
	seed, err := key.Seed()
	if err != nil {
		return err
	}
	a.anySeed = filepath.Join(dir, "any.nk")
	return os.WriteFile(a.anySeed, seed, 0o600)
}

// KeepStreams makes a stream that stays, for tests that delete one and make it anew: with its last stream, nats-server
// removes an account's directory, also while another stream is made in it.
func KeepStreams(t testing.TB, js jetstream.JetStream) {
	t.Helper()
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "STAYS"}); err != nil {
		t.Fatal(err)
	}
}
