package testenv_test

import (
	"errors"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"flickrkillr/ops/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestDatabasesAreApart(t *testing.T) {
	t.Parallel()
	one, other := testenv.Database(t), testenv.Database(t)
	if _, err := one.Exec(t.Context(), `create table only_here (x int)`); err != nil {
		t.Fatal(err)
	}
	var there, super bool
	const q = `select to_regclass('only_here') is not null,
		(select rolsuper from pg_roles where rolname = current_user)`
	if err := other.QueryRow(t.Context(), q).Scan(&there, &super); err != nil {
		t.Fatal(err)
	}
	if there {
		t.Error("a table made in one test's database is in another's")
	}
	if super {
		t.Error("tests connect as a superuser: they would not notice a missing permission")
	}
}

func TestLettersAreUnicode(t *testing.T) {
	t.Parallel()
	var lower string
	if err := testenv.Database(t).QueryRow(t.Context(), `select lower('ÉCOLE Ж')`).Scan(&lower); err != nil {
		t.Fatal(err)
	}
	if lower != "école ж" {
		t.Errorf("lower = %q", lower)
	}
}

func TestNATS(t *testing.T) {
	t.Parallel()
	nc := testenv.Connect(t, testenv.NATS(t))
	if err := nc.FlushTimeout(5 * time.Second); err != nil {
		t.Fatal(err)
	}
}

func TestMemcachedPerTest(t *testing.T) {
	t.Parallel()
	one, other := memcache.New(testenv.Memcached(t)), memcache.New(testenv.Memcached(t))
	t.Cleanup(func() { _, _ = one.Close(), other.Close() })
	if err := one.Set(&memcache.Item{Key: "k", Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Get("k"); !errors.Is(err, memcache.ErrCacheMiss) {
		t.Errorf("another test's memcached answered %v", err)
	}
}
