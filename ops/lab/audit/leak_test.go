package audit

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"
)

// TestItems: of a server with many items a bounded number is chosen, from all of them; an item that is too large to
// search is recognised, and the next one is read none the less.
func TestItems(t *testing.T) {
	t.Parallel()
	var list strings.Builder
	for i := range 10 * sweepItems {
		fmt.Fprintf(&list, "key=page.%d exp=-1\n", i)
	}
	keys, err := itemKeys(io.Discard, bufio.NewReader(strings.NewReader(list.String()+"END\r\n")))
	late, different := 0, map[string]bool{}
	for _, key := range keys {
		var n int
		if _, err := fmt.Sscanf(key, "page.%d", &n); err != nil {
			t.Fatal(err)
		}
		if n >= 5*sweepItems {
			late++
		}
		different[key] = true
	}
	// By chance about half are from the second half of the list; fewer than a quarter never are.
	if err != nil || len(different) != sweepItems || late < sweepItems/4 {
		t.Errorf("%d keys, %d of them late in the list, %v", len(different), late, err)
	}

	large := strings.Repeat("x", 3*largest)
	r := bufio.NewReader(strings.NewReader(fmt.Sprintf(
		"VALUE a 0 %d\r\n%s\r\nEND\r\nVALUE b 0 5\r\nhello\r\nEND\r\nEND\r\n", len(large), large)))
	for _, c := range []struct {
		key  string
		size int
	}{{"a", largest + 1}, {"b", 5}, {"gone", 0}} {
		if data, err := itemAt(io.Discard, r, c.key); err != nil || len(data) != c.size {
			t.Errorf("item %s: %d bytes, %v; want %d", c.key, len(data), err, c.size)
		}
	}
}
