package seed_test

import (
	"testing"

	"flickrkillr/ops/seed"
	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/password"
)

// TestTemporaryAccounts: each can sign in, and nothing of them is left.
func TestTemporaryAccounts(t *testing.T) {
	t.Parallel()
	pool := testenv.Database(t)
	added, remove, err := seed.AddTemporary(t.Context(), pool, 3)
	if err != nil || len(added) != 3 {
		t.Fatalf("%v, %v", added, err)
	}
	phc := ask(t, pool, "SELECT password FROM accounts JOIN users ON id = user_id WHERE name = $1", added[2].Name)
	if ok, err := password.Verify(phc, added[2].Password); !ok || err != nil {
		t.Errorf("%q does not fit %s: %v", added[2].Password, phc, err)
	}
	if err := remove(t.Context()); err != nil {
		t.Error(err)
	}
	if n := ask(t, pool, "SELECT count(*) FROM users"); n != "0" {
		t.Errorf("%s users are left", n)
	}
}
