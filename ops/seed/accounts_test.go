package seed_test

import (
	"testing"

	"flickrkillr/ops/seed"
	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/password"
)

// TestAccounts: the users that always exist can sign in with the passwords that Accounts tells, as long as those hold,
// and nobody else can.
func TestAccounts(t *testing.T) {
	t.Parallel()
	pool := testenv.Database(t)
	if found, err := seed.Accounts(t.Context(), pool); len(found) != 0 || err != nil {
		t.Errorf("a database without data has %v, %v", found, err)
	}
	c := seed.Config{Pool: pool, Pictures: store(t), Users: 10, Photos: 50, Originals: 2, Long: 64}
	if err := seed.Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	found, err := seed.Accounts(t.Context(), pool)
	if len(found) != 3 || err != nil || ask(t, pool, "SELECT count(*) FROM accounts") != "3" {
		t.Fatalf("accounts %v, %v", found, err)
	}
	for _, a := range found {
		phc := ask(t, pool, "SELECT password FROM accounts WHERE user_id = (SELECT id FROM users WHERE name = $1)",
			a.Name)
		if ok, err := password.Verify(phc, a.Password); !ok || err != nil {
			t.Errorf("%s: %q does not fit %s: %v", a.Name, a.Password, phc, err)
		}
	}
	if _, err := pool.Exec(t.Context(), "UPDATE accounts SET password = $1 WHERE user_id = 1",
		password.Hash("another one", "test")); err != nil {
		t.Fatal(err)
	}
	if found, err := seed.Accounts(t.Context(), pool); len(found) != 2 || err != nil {
		t.Errorf("after a password was changed: %v, %v", found, err)
	}
}
