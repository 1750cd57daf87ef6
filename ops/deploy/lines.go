package deploy

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// lines says where the keys of site.toml stand, by their paths: "counts.renderer", "host[0].name".
type lines map[string]place

// place is where a key and its value stand. A table has no value.
type place struct {
	line       int
	start, end int // of the value, in bytes
}

// linesOf reads where the keys of a text stand that the TOML library has read without an error.
func linesOf(text []byte) lines {
	at := lines{}
	var p unstable.Parser
	p.Reset(text)
	table, tables := "", map[string]int{}
	for p.NextExpression() {
		e := p.Expression()
		var words []string
		var first unstable.Range
		for key := e.Key(); key.Next(); {
			if len(words) == 0 {
				first = key.Node().Raw
			}
			words = append(words, string(key.Node().Data))
		}
		path := strings.Join(words, ".")
		here := place{line: p.Shape(first).Start.Line}
		switch e.Kind {
		case unstable.Table:
			table = path
		case unstable.ArrayTable:
			if tables[path] == 0 {
				at[path] = here
			}
			table = fmt.Sprintf("%s[%d]", path, tables[path])
			tables[path]++
			path = table
		case unstable.KeyValue:
			if table != "" {
				path = table + "." + path
			}
			value := e.Value().Raw
			here.start, here.end = int(value.Offset), int(value.Offset+value.Length)
		default:
			continue
		}
		at[path] = here
	}
	return at
}

// wrong is an error about a key: ":12: counts.renderer: ...". A key that is not there has the line of its table.
func (at lines) wrong(key, format string, args ...any) error {
	line := at[key].line
	for table := key; line == 0 && strings.Contains(table, "."); {
		table = table[:strings.LastIndex(table, ".")]
		line = at[table].line
	}
	return fmt.Errorf("%d: %s: %s", cmp.Or(line, 1), key, fmt.Sprintf(format, args...))
}
