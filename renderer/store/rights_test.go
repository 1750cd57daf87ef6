package store_test

import (
	"errors"
	"testing"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
)

// TestEditProfileWithRights: what a person says about themselves, and what their new photos get, are changed together
// or not at all.
func TestEditProfileWithRights(t *testing.T) {
	t.Parallel()
	s, pool := ownAlbum(t)
	name, licence, open := "A. Adams", page.Licence("by"), true
	edit := store.Profile{DisplayName: &name, Rights: store.RightsEdit{Licence: &licence, Downloadable: &open}}
	if _, err := s.EditProfile(t.Context(), "none", 1, edit); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("without an account: %v", err)
	}
	const stored = `SELECT u.display_name || coalesce(' ' || a.licence || ' ' || a.downloadable, '')
		FROM users u LEFT JOIN accounts a ON a.user_id = u.id WHERE u.id = 1`
	if got := one[string](t, pool, stored); got != "Ansel Adams" {
		t.Errorf("what was refused has changed the profile: %s", got)
	}
	exec(t, pool, "INSERT INTO accounts (user_id, password) VALUES (1, '"+passwordHash+"')", "DELETE FROM outbox")
	for range 2 { // and repeated
		changes, err := s.EditProfile(t.Context(), "both", 1, edit)
		if err != nil || len(changes) != 1 || newest(t, pool)["user.ansel"] != changes[0].Version {
			t.Errorf("%v, %v", changes, err)
		}
	}
	if got := one[string](t, pool, stored); got != "A. Adams by true" {
		t.Errorf("the profile is %s", got)
	}
}
