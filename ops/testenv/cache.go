package testenv

import (
	"testing"

	"flickrkillr/ops/stack"
)

// Memcached starts a memcached for this test and returns its address, host:port.
func Memcached(t testing.TB) string {
	t.Helper()
	return MemcachedServer(t).Addr()
}

// MemcachedServer is Memcached for tests that stop, restart or freeze it.
func MemcachedServer(t testing.TB) *stack.Memcached {
	t.Helper()
	return MemcachedWith(t, stack.MemcachedConfig{})
}

// MemcachedWith is MemcachedServer with a configuration.
func MemcachedWith(t testing.TB, cfg stack.MemcachedConfig) *stack.Memcached {
	t.Helper()
	m, err := stack.StartMemcached(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Stop(); err != nil {
			t.Error(err)
		}
	})
	return m
}
