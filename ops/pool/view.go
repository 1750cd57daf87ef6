package pool

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"flickrkillr/schema/histogram"
	"flickrkillr/schema/wire"
)

// View is what people see, in words and figures that are ready to be shown.
type View struct {
	At      string // the time of day
	Problem string // why nothing is known; "": all is
	Deploy  Deploy
	Tiles   []Tile
	Tables  []Table
	Scaling string // how the number of renderers follows the load; "": it does not, or that is not known here
}

// Tile is one figure of the whole site.
type Tile struct {
	Label, Value, Unit string
	Note               string
	Line               []float64 // over the last two minutes, in no unit
	Alarm              bool      // it is not as it should be
}

// Table has a row for each instance of a role.
type Table struct {
	Title string
	Heads []string
	Rows  []Row
	None  string // what to say without rows
}

// Row is an instance.
type Row struct {
	Cells []Cell
}

// Cell is one figure of an instance.
type Cell struct {
	Head, Text string
	Alarm      bool
}

// waitTooLong and freshTooLate are what the site promises its visitors, or nearly: see ARCHITECTURE.md.
const (
	waitTooLong  = .02 // s
	freshTooLate = 1.  // s
	lagTooLong   = 1.  // s
)

// View describes the last snapshot, and what happened in the window before it.
func (h *History) View() View {
	shot := h.newest()
	v := View{At: shot.At.Format(time.TimeOnly), Deploy: deployOf(shot), Tiles: h.tiles()}
	v.Tables = []Table{
		h.table(wire.RoleEdge, "Edges", "No edge answers: nobody reaches the site.", edgeHeads, h.edgeCells),
		h.table(wire.RoleRenderer, "Renderers", "No renderer answers: only copies are shown.", rendererHeads,
			h.rendererCells),
		h.table(wire.RoleCachefill, "Cachefills", "No cachefill answers: memcached gets no new pages.", cachefillHeads,
			h.cachefillCells),
	}
	return v
}

func (h *History) tiles() []Tile {
	t := h.total()
	tiles := []Tile{
		{Label: "Answers", Value: perSecond(t.answers), Unit: "a second", Line: h.lines.answers,
			Note: fmt.Sprintf("p50 %s, p95 %s", millis(t.took, .5), millis(t.took, .95))},
		fromCaches(t, h.lines.caches),
		{Label: "Answered within", Value: number(t.took, .99), Unit: "ms, p99", Line: h.lines.took,
			Note: fmt.Sprintf("%s failed a second", perSecond(t.failed)), Alarm: t.failed > 0},
		{Label: "Wait for a renderer", Value: number(t.waits, .95), Unit: "ms, p95", Line: h.lines.waits,
			Note:  fmt.Sprintf("p50 %s, p99 %s", millis(t.waits, .5), millis(t.waits, .99)),
			Alarm: t.waits.Quantile(.95) > waitTooLong},
		h.freshness(t),
		{Label: "Renderers", Value: fmt.Sprint(t.renderers), Unit: percent(t.used) + " % busy", Line: h.lines.used,
			Note:  fmt.Sprintf("%d queued, %s refused a second", t.queued, perSecond(t.busy)),
			Alarm: t.renderers == 0 || t.busy > 0},
	}
	if t.replicaLag != nil {
		tiles = append(tiles, Tile{Label: "Replica behind by", Value: plain(*t.replicaLag * 1000), Unit: "ms",
			Note: "the one that is furthest behind", Alarm: *t.replicaLag > lagTooLong})
	}
	return tiles
}

// fromCaches is the part of pages that caches answered.
func fromCaches(t total, line []float64) Tile {
	value, unit, _ := strings.Cut(cachedPart(t.tiers), " ")
	return Tile{Label: "From caches", Value: value, Unit: unit, Line: line, Note: shares(t.tiers)}
}

// cachedPart is the part of pages that caches answered, in percent, with the unit; "–" if there were no pages.
func cachedPart(tiers map[string]float64) string {
	if pagesOf(tiers) == 0 {
		return "–"
	}
	return percent(hits(tiers)) + " %"
}

// freshness is how soon edges know of changes. Changes may be rare.
func (h *History) freshness(t total) Tile {
	tile := Tile{Label: "Changes known in", Value: number(t.changes, .99), Unit: "ms, p99", Line: h.lines.fresh,
		Note: fmt.Sprintf("p50 %s", millis(t.changes, .5)), Alarm: t.changes.Quantile(.99) > freshTooLate}
	if t.changes.Count() == 0 {
		tile.Value, tile.Unit, tile.Note = "–", "", "no change in 10 s"
	}
	if t.stale > 0 {
		tile.Alarm, tile.Note = true, fmt.Sprintf("%d of %d edges hear nothing", t.stale, t.edges)
	}
	return tile
}

func (h *History) table(
	role wire.Role, title, none string, heads []string, cells func(Instance, doing) []Cell,
) Table {
	t := Table{Title: title, Heads: slices.Concat([]string{"Where", "Version", "Up"}, heads), None: none}
	at := h.newest().At
	for _, i := range h.newest().Of(role) {
		up := Cell{Text: since(at.Sub(i.Started))}
		if silent, ok := h.silent[i.ID]; ok {
			up = Cell{Text: fmt.Sprintf("silent for %.0f s", at.Sub(silent).Seconds()+1), Alarm: true}
		}
		row := Row{Cells: slices.Concat([]Cell{{Text: i.where()}, {Text: i.version()}, up}, cells(i, h.of(i)))}
		for n := range row.Cells {
			row.Cells[n].Head = t.Heads[n]
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// where tells instances apart. Several roles may share a process, so the end of their id follows.
func (i Instance) where() string {
	if addr := i.Metadata["addr"]; addr != "" {
		return i.Metadata["host"] + " " + addr
	}
	return i.Metadata["host"] + " " + i.Metadata["pid"] + " " + i.ID[max(0, len(i.ID)-4):]
}

var edgeHeads = []string{
	"Answers/s", "In flight", "From caches", "Time p50", "Time p95", "Time p99", "Changes p99", "Feed", "Failed/s",
}

func (h *History) edgeCells(i Instance, d doing) []Cell {
	feed := Cell{Text: "?"}
	if i.Edge != nil {
		if feed.Text = "current"; i.Edge.FeedStale {
			feed = Cell{Text: "stale", Alarm: true}
		}
	}
	return []Cell{
		{Text: perSecond(d.requests)}, {Text: fmt.Sprint(d.inFlight)}, {Text: cachedPart(d.tiers)},
		{Text: millis(d.took, .5)}, {Text: millis(d.took, .95)}, {Text: millis(d.took, .99)},
		{Text: millis(d.changes, .99)}, feed, {Text: perSecond(d.failed), Alarm: d.failed > 0},
	}
}

var rendererHeads = []string{
	"Served/s", "In flight", "Queued", "Wait p50", "Wait p95", "Wait p99", "Busy", "Refused/s", "Failed/s", "Relay",
}

func (h *History) rendererCells(i Instance, d doing) []Cell {
	relay := Cell{}
	if i.Renderer != nil && i.Renderer.Relays {
		relay.Text = "active"
	}
	return []Cell{
		{Text: perSecond(d.requests)}, {Text: fmt.Sprint(d.inFlight)}, {Text: fmt.Sprint(d.queued)},
		{Text: millis(d.waits, .5)}, {Text: millis(d.waits, .95), Alarm: d.waits.Quantile(.95) > waitTooLong},
		{Text: millis(d.waits, .99)}, {Text: percent(d.used) + " %"}, {Text: perSecond(d.busy), Alarm: d.busy > 0},
		{Text: perSecond(d.failed)}, relay,
	}
}

var cachefillHeads = []string{"Notes/s", "Queued", "memcached", "Failed/s"}

func (h *History) cachefillCells(i Instance, d doing) []Cell {
	servers := Cell{Text: "?"}
	if i.Cachefill != nil {
		byState := map[string]int{}
		for _, state := range i.Cachefill.Servers {
			byState[state]++
		}
		var words []string
		for state, n := range byState {
			words = append(words, fmt.Sprintf("%d %s", n, state))
		}
		slices.Sort(words)
		servers = Cell{Text: strings.Join(words, ", "), Alarm: byState["away"] > 0}
	}
	return []Cell{{Text: perSecond(d.requests)}, {Text: fmt.Sprint(d.queued)}, servers,
		{Text: perSecond(d.failed), Alarm: d.failed > 0}}
}

// shares names where pages came from, in percent.
func shares(tiers map[string]float64) string {
	all := pagesOf(tiers)
	if all == 0 {
		return "no pages"
	}
	var words []string
	for _, tier := range pageTiers {
		words = append(words, fmt.Sprintf("%s\u00a0%s", tier.word, percent(tiers[tier.name]/all)))
	}
	return strings.Join(words, ", ")
}

// pagesOf is how many pages came from anywhere.
func pagesOf(tiers map[string]float64) (all float64) {
	for _, tier := range pageTiers {
		all += tiers[tier.name]
	}
	return all
}

// pageTiers are where pages come from, as in X-Cache.
var pageTiers = []struct{ name, word string }{
	{"near", "edge"}, {"memcached", "memcached"}, {"render", "rendered"}, {"stale", "stale"},
}

func perSecond(n float64) string {
	switch {
	case n == 0:
		return "0"
	case n < 10:
		return fmt.Sprintf("%.1f", n)
	}
	return fmt.Sprintf("%.0f", n)
}

func percent(part float64) string {
	if p := part * 100; p > 99 && p < 100 || p > 0 && p < 1 {
		return fmt.Sprintf("%.1f", p)
	}
	return fmt.Sprintf("%.0f", part*100)
}

// millis is a percentile of seconds in ms, with the unit; "–" if nothing was measured.
func millis(h histogram.Histogram, q float64) string {
	if h.Count() == 0 {
		return "–"
	}
	return number(h, q) + "\u00a0ms"
}

func number(h histogram.Histogram, q float64) string {
	if h.Count() == 0 {
		return "–"
	}
	return plain(h.Quantile(q) * 1000)
}

func plain(n float64) string {
	switch {
	case n < 1:
		return fmt.Sprintf("%.2f", n)
	case n < 10:
		return fmt.Sprintf("%.1f", n)
	}
	return fmt.Sprintf("%.0f", n)
}

// since is a duration in its two largest units.
func since(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", max(d, 0).Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
