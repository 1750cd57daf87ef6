package bench

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
)

// tries counts tries that failed before the visitor asked another edge. Its zero value is ready.
type tries struct {
	mu    sync.Mutex
	kinds map[string]Failure
}

func (t *tries) add(url string, err error) {
	kind := kindOf(err)
	if connect := (*failure)(nil); errors.As(err, &connect) {
		kind, err = connect.kind, connect.err // whether refused or silent
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kinds == nil {
		t.kinds = map[string]Failure{}
	}
	f, known := t.kinds[kind]
	if !known {
		f = Failure{Kind: kind, Example: url + ": " + err.Error()}
	}
	f.Count++
	t.kinds[kind] = f
}

func (t *tries) all() map[string]Failure {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.kinds)
}

// mostFirst lists failures, the kind that occurred most first.
func mostFirst(kinds map[string]Failure) []Failure {
	return slices.SortedFunc(maps.Values(kinds), func(a, b Failure) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Kind, b.Kind))
	})
}
