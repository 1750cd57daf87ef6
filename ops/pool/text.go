package pool

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// sparks draws a line in a terminal.
var sparks = []rune("▁▂▃▄▅▆▇█")

// sparkLength is how many of the last samples it shows.
const sparkLength = 30

// Write writes the view for a terminal. What is not as it should be is marked with "!".
func (v View) Write(w io.Writer) error {
	var b bytes.Buffer
	if v.Problem != "" {
		fmt.Fprintf(&b, "%s\n", printable(v.Problem))
		_, err := w.Write(b.Bytes())
		return err
	}
	fmt.Fprintf(&b, "%s  %s%s\n\n", v.At, printable(v.Deploy.Text), mark(v.Deploy.UnderWay))
	columns := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, t := range v.Tiles {
		fmt.Fprintf(columns, "%s%s\t%s %s\t%s\t%s\n", t.Label, mark(t.Alarm), t.Value, t.Unit, spark(t.Line), t.Note)
	}
	if err := columns.Flush(); err != nil {
		return err
	}
	for _, t := range v.Tables {
		if len(t.Rows) == 0 {
			fmt.Fprintf(&b, "\n%s\n", t.None)
			continue
		}
		fmt.Fprintf(&b, "\n%s\n", t.Title)
		columns := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		fmt.Fprintf(columns, "%s\t\n", strings.Join(t.Heads, "\t"))
		for _, row := range t.Rows {
			for _, c := range row.Cells {
				fmt.Fprintf(columns, "%s%s\t", printable(c.Text), mark(c.Alarm))
			}
			fmt.Fprintln(columns)
		}
		if err := columns.Flush(); err != nil {
			return err
		}
	}
	_, err := w.Write(padding.ReplaceAll(b.Bytes(), nil))
	return err
}

// padding is what columns leave at the end of a line.
var padding = regexp.MustCompile(`(?m) +$`)

func mark(alarm bool) string {
	if alarm {
		return " !"
	}
	return ""
}

// printable replaces what a terminal would obey: names come from whoever answers on the bus.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s)
}

func spark(line []float64) string {
	line = line[max(0, len(line)-sparkLength):]
	top := 0.0
	for _, v := range line {
		top = max(top, v)
	}
	var b strings.Builder
	for _, v := range line {
		at := 0
		if top > 0 {
			at = int(v / top * float64(len(sparks)-1))
		}
		b.WriteRune(sparks[at])
	}
	return b.String()
}
