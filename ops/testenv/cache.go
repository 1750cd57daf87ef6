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
	m, err := stack.StartMemcached(t.Context(), stack.MemcachedConfig{})
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
