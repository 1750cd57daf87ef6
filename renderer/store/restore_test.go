package store_test

import (
	osexec "os/exec"
	"path/filepath"
	"testing"

	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/store"
)

// runPostgres runs one of PostgreSQL's own programs.
func runPostgres(t *testing.T, program string, args ...string) {
	t.Helper()
	installed, err := stack.FindPostgres(0)
	if err != nil {
		t.Fatal(err)
	}
	out, err := osexec.CommandContext(t.Context(), filepath.Join(installed.Dir, program), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
}

func dump(t *testing.T, url string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "dump")
	runPostgres(t, "pg_dump", "--format=custom", "--no-unlogged-table-data", "--file="+file, url)
	return file
}

func restore(t *testing.T, file string) (url string) {
	t.Helper()
	url = testenv.EmptyDatabaseURL(t)
	runPostgres(t, "pg_restore", "--no-owner", "--single-transaction", "--exit-on-error", "--dbname="+url, file)
	return url
}

const numbers = `SELECT ARRAY[version, nextval(pg_get_serial_sequence('users', 'id')),
	nextval(pg_get_serial_sequence('photos', 'id')), nextval(pg_get_serial_sequence('albums', 'id')),
	nextval('picture_generations')] FROM epoch`

// A dump that is restored gives out nothing that was given out after it was made, and says so once.
func TestRestoredDump(t *testing.T) {
	t.Parallel()
	before, pool := openURL(t, testenv.DatabaseURL(t))
	if _, err := before.SignUp(t.Context(), "up", "vivian", passwordHash, "", nil); err != nil {
		t.Fatal(err)
	}
	file := dump(t, pool.Config().ConnString())
	// They run ahead of the clock, as after failovers.
	exec(t, pool, "SELECT count(nextval('versions')) FROM generate_series(1, 100000)", "SELECT outrun(0, 0)")
	for times := range 2 { // a backup may be restored twice
		given := one[[]int64](t, pool, numbers)
		exec(t, pool, "SELECT announce_all()")
		given[0] = one[int64](t, pool, "SELECT last_value FROM versions")
		var after *store.Store
		after, pool = openURL(t, restore(t, file))
		account, err := after.AccountNamed(t.Context(), "vivian")
		if err != nil || !account.SessionsFrom.After(account.PasswordAt) {
			t.Fatalf("sessions have the time of the password of the backup: %+v, %v", account, err)
		}
		version := one[int64](t, pool, "SELECT version FROM epoch")
		for i, n := range one[[]int64](t, pool, numbers) {
			if n <= given[i] && (i == 0 || times == 0) { // that of rows is so only some seconds later
				t.Errorf("number %d is %d after the restore, and was %d before", i, n, given[i])
			}
		}
		if waits := one[bool](t, pool, "SELECT EXISTS (SELECT FROM outbox WHERE scope = 'all' AND gone)"); !waits {
			t.Error("edges are not told")
		}
		if _, err := openPool(t, pool.Config().ConnString()).Exec(t.Context(), "SELECT 1"); err != nil {
			t.Fatal(err)
		}
		if again := one[int64](t, pool, "SELECT version FROM epoch"); again != version {
			t.Errorf("said again: %d, %d", version, again)
		}
	}
	exec(t, pool, "SELECT after_restore()") // as of files that were copied back
	if n := one[int64](t, pool, "SELECT count(*) FROM outbox WHERE scope = 'all' AND gone"); n < 2 {
		t.Errorf("said %d times", n)
	}
}
