package chaos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"flickrkillr/ops/lab/bench"
)

// millis formats milliseconds.
func millis(ms float64) string {
	switch {
	case ms >= 1000:
		return strconv.FormatFloat(ms/1000, 'f', 2, 64) + " s"
	case ms >= 10:
		return strconv.FormatFloat(ms, 'f', 0, 64) + " ms"
	}
	return strconv.FormatFloat(ms, 'f', 1, 64) + " ms"
}

// title is the name of an outcome.
func (o *Outcome) title() string {
	if o.Without == "" {
		return o.Row
	}
	return o.Row + "; control, without " + o.Without
}

// WriteTable prints the result for a terminal.
func (res *Result) WriteTable(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintln(&b, res.summary())
	for i := range res.Rows {
		fmt.Fprintln(&b)
		res.Rows[i].write(&b)
	}
	fmt.Fprintf(&b, "\n%s\n", res.total())
	_, err := w.Write(b.Bytes())
	return err
}

// WriteJSON prints the result as JSON.
func (res *Result) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(res)
}

// summary says how the rows were run.
func (res *Result) summary() string {
	s := fmt.Sprintf("Each row for %g s at %g pages a second, begun at random (open loop); the overload, and visitors "+
		"who write, have rates of their own.", res.Duration, res.Rate)
	if res.Machines > 0 {
		s = fmt.Sprintf("%d machines. Each row until all had their turn, %g s at least, at %g pages a second, begun "+
			"at random (open loop); visitors who write have rates of their own.", res.Machines, res.Duration, res.Rate)
	}
	if res.Interrupted {
		s += " Interrupted: the last of them is not complete."
	}
	return s
}

// totals counts outcomes, without one that was interrupted.
func (res *Result) totals() (rows, met, controls, missed int) {
	for i := range res.Rows {
		switch o := &res.Rows[i]; {
		case o.Cut:
		case o.Without == "" && o.Good():
			rows, met = rows+1, met+1
		case o.Without == "":
			rows++
		case o.Good():
			controls, missed = controls+1, missed+1
		default:
			controls++
		}
	}
	return rows, met, controls, missed
}

// total is totals in words.
func (res *Result) total() string {
	rows, met, controls, missed := res.totals()
	s := fmt.Sprintf("%d of %d rows met their targets", met, rows)
	if controls > 0 {
		s += fmt.Sprintf("; %d of %d controls missed theirs, as they should", missed, controls)
	}
	return s + "."
}

func (o *Outcome) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "%s: %s\n", strings.ToUpper(o.verdict()), o.title())
	fmt.Fprintf(b, "  a visitor may notice: %s (%s)\n", o.Visitor, o.Why)
	if o.Err != "" {
		fmt.Fprintf(b, "  error: %s\n", o.Err)
	}
	for _, f := range o.Faults {
		if f.What != "" {
			fmt.Fprintf(b, "  %s: from %.1f to %.1f s; %s\n", f.What, f.Began, f.Ended, o.noticed(f))
		}
		if f.Err != "" {
			fmt.Fprintf(b, "  the fault at %.1f s: %s\n", f.Began, f.Err)
		}
	}
	for i := range o.Loads {
		s := &o.Loads[i]
		fmt.Fprintf(b, "  %s%d requests, %d bad, %d stale; p50 %s, p99 %s, p99.9 %s, max %s\n", prefix(s.Load),
			s.Requests, s.Bad, s.Stale, millis(s.Times.P50), millis(s.Times.P99), millis(s.Times.P999),
			millis(s.Times.Max))
		if r := s.Refused; r.Count > 0 {
			fmt.Fprintf(b, "    %d times 503 that says when to retry: p50 %s, p99 %s, max %s\n", r.Count, millis(r.P50),
				millis(r.P99), millis(r.Max))
		}
		for _, f := range s.Tries {
			fmt.Fprintf(b, "    %d tries, then another edge: %s, such as: %s\n", f.Count, f.Kind, f.Example)
		}
		for _, f := range s.Kinds {
			fmt.Fprintf(b, "    %d %s, such as: %s\n", f.Count, f.Kind, f.Example)
		}
		for _, note := range s.Notes {
			fmt.Fprintf(b, "    note: %s\n", note)
		}
	}
	if w := o.Writes; w != nil {
		fmt.Fprintf(b, "  %d writes, %d of them looked up as no answer came; %d answers compared with them, %d false; "+
			"%d faults\n", w.Acknowledged, w.Unanswered, w.Answers, w.False, len(o.Faults))
		for _, v := range w.First[:min(len(w.First), 3)] {
			first, _, _ := strings.Cut(v, "\n")
			fmt.Fprintf(b, "    %s\n", first)
		}
	}
	for _, c := range o.Checks {
		met := "met"
		if !c.Met {
			met = "MISSED"
		}
		fmt.Fprintf(b, "  %-6s  %s%s: %s, target %s\n", met, prefix(c.Load), c.What, c.Seen, c.Target)
	}
	o.writeSeconds(b)
}

// slowAnswer is what a visitor notices, in milliseconds.
const slowAnswer = 1000

// noticed says for how long visitors noticed the fault of a machine, and when all was as before.
func (o *Outcome) noticed(f FaultEvent) string {
	last := f.Began
	for i := range o.Loads {
		for _, p := range o.Loads[i].Series {
			if p.At > f.Began && p.At < max(f.Ended, f.Ready) && (p.Failed > 0 || p.Max > slowAnswer) {
				last = max(last, p.At)
			}
		}
	}
	text := "no page was bad or took more than 1 s"
	if last > f.Began {
		text = fmt.Sprintf("pages were bad or took more than 1 s for %.1f s", last-f.Began)
	}
	if f.Pause > slowAnswer/1000 {
		text += fmt.Sprintf("; no write was acknowledged for %.1f s", f.Pause)
	}
	if f.Ready > 0 {
		text += fmt.Sprintf("; all was as before %.1f s after its end", f.Ready-f.Ended)
	}
	return text
}

func prefix(load string) string {
	if load == "" {
		return ""
	}
	return load + ": "
}

// writeSeconds prints each second around the first fault: answers, the bad and stale ones, and the slowest in ms.
func (o *Outcome) writeSeconds(b *bytes.Buffer) {
	if len(o.Faults) == 0 {
		return
	}
	const before, after, most = 2, 4, 20 // seconds
	from := max(0, int(o.Faults[0].Began)-before)
	to := min(int(o.Faults[0].Ended)+after, from+most)
	for i := range o.Loads {
		cells := [5][]string{{"second"}, {"answers"}, {"bad"}, {"stale"}, {"slowest"}}
		for _, p := range perSecond(o.Loads[i].Series) {
			if at := int(p.At); at < from || at > to {
				continue
			}
			for j, cell := range []string{
				fmt.Sprintf("%.0f", p.At), fmt.Sprintf("%.0f", p.Pages), fmt.Sprint(p.Failed), fmt.Sprint(p.Stale),
				fmt.Sprintf("%.0f", p.Max),
			} {
				cells[j] = append(cells[j], cell)
			}
		}
		fmt.Fprintf(b, "  around the fault at %.1f s to %.1f s%s\n", o.Faults[0].Began, o.Faults[0].Ended,
			strings.TrimSuffix(", "+o.Loads[i].Load, ", "))
		for _, row := range cells {
			fmt.Fprintf(b, "    %-8s", row[0])
			for _, cell := range row[1:] {
				fmt.Fprintf(b, " %5s", cell)
			}
			fmt.Fprintln(b)
		}
	}
}

// perSecond adds up the points of each second. At is the second's number, Pages is how many there were.
func perSecond(series []bench.Point) (seconds []bench.Point) {
	last := 0.0
	for _, p := range series {
		at := int((last + p.At) / 2)
		for len(seconds) <= at {
			seconds = append(seconds, bench.Point{At: float64(len(seconds))})
		}
		s := &seconds[at]
		s.Pages += p.Pages * (p.At - last)
		s.Failed += p.Failed
		s.Refused += p.Refused
		s.Stale += p.Stale
		s.Rendered += p.Rendered
		s.Max = max(s.Max, p.Max)
		last = p.At
	}
	return seconds
}

// WriteMarkdown prints the result as a table for a README: a row for each row, with its control.
func (res *Result) WriteMarkdown(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s\n\n", res.Began.UTC().Format("2 January 2006."), res.summary())
	fmt.Fprintln(&b, "| what happens | visitors | bad | refused | p50 | p99 | p99.9 | max | target | control |")
	fmt.Fprintln(&b, "|---|---|--:|--:|--:|--:|--:|--:|---|---|")
	for i := range res.Rows {
		o := &res.Rows[i]
		if o.Without != "" {
			continue
		}
		control := ""
		if i+1 < len(res.Rows) && res.Rows[i+1].Without != "" {
			c := &res.Rows[i+1]
			control = fmt.Sprintf("without %s: %s", c.Without, c.verdict())
		}
		for j := range o.Loads {
			s := &o.Loads[j]
			name, verdict := o.Row, o.verdict()
			if o.Err != "" {
				verdict += ": " + o.Err
			}
			if j > 0 {
				name, verdict, control = "", "", ""
			}
			if missed := o.missed(s.Load); missed != "" {
				verdict += ": " + missed
			}
			refused := fmt.Sprint(s.Refused.Count)
			if s.Refused.Count > 0 {
				refused += ", max " + millis(s.Refused.Max)
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", name, s.Load, s.bad(), refused,
				millis(s.Times.P50), millis(s.Times.P99), millis(s.Times.P999),
				millis(s.Times.Max), strings.TrimPrefix(verdict, ": "), control)
		}
		if len(o.Loads) == 0 {
			visitors := ""
			if o.Writes != nil {
				visitors = fmt.Sprintf("%d writes, %d false answers", o.Writes.Acknowledged, o.Writes.False)
			}
			fmt.Fprintf(&b, "| %s | %s |  |  |  |  |  |  | %s | %s |\n", o.Row, visitors, o.verdict(), control)
		}
	}
	fmt.Fprintf(&b, "\n%s\n", res.total())
	_, err := w.Write(b.Bytes())
	return err
}

// bad says how many requests had no right answer, and how many tries before those failed.
func (s *Seen) bad() string {
	text, tries := fmt.Sprintf("%d of %d", s.Bad, s.Requests), int64(0)
	for _, f := range s.Tries {
		tries += f.Count
	}
	if tries > 0 {
		text += fmt.Sprintf(", %d tries failed", tries)
	}
	return text
}

// missed lists the missed targets of a load.
func (o *Outcome) missed(load string) string {
	var all []string
	for _, c := range o.Checks {
		if !c.Met && c.Load == load {
			all = append(all, fmt.Sprintf("%s %s (%s)", c.What, c.Seen, c.Target))
		}
	}
	return strings.Join(all, ", ")
}
