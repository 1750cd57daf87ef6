package migrations_test

import (
	"testing"

	"flickrkillr/ops/testenv"
)

// What was given out as a version must never be given out again, however young the database is that crashes.
func TestVersionsOutliveACrash(t *testing.T) {
	t.Parallel()
	server := testenv.Postgres(t)
	// Otherwise a throwaway cluster does not wait for its log.
	pool := testenv.Pool(t, server.URL()+"&synchronous_commit=on")
	exec(t, pool, "INSERT INTO users (name, display_name) VALUES ('ansel', 'A'), ('vivian', 'V'), ('dorothea', 'D')")
	last := one[int64](t, pool, "SELECT max(version) FROM users")
	server.Kill()
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	pool.Reset()
	exec(t, pool, "UPDATE users SET bio = 'x' WHERE name = 'ansel'")
	if v := one[int64](t, pool, "SELECT version FROM users WHERE name = 'ansel'"); v <= last {
		t.Errorf("after a crash version %d was given out, which is not above %d", v, last)
	}
}
