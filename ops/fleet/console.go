//go:build linux

package fleet

import (
	"strings"
	"sync"
)

// consoleBytes is how much of the end of an output is remembered.
const consoleBytes = 16 << 10

// console remembers the end of what is written to it.
type console struct {
	mu   sync.Mutex
	text []byte
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text = append(c.text, p...)
	if len(c.text) > 2*consoleBytes {
		c.text = append([]byte(nil), c.text[len(c.text)-consoleBytes:]...)
	}
	return len(p), nil
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.TrimSpace(string(c.text[max(0, len(c.text)-consoleBytes):]))
}
