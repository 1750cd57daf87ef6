package renderer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"flickrkillr/renderer/query"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

// searchAge is the most age of a cached search. The index follows a change within about half a second, and no change
// notice tells edges of it: together at most 5 s.
const searchAge = 4 * time.Second

// tooLongAge is the most age of the page that says that a search takes too long: repeating it would take as long
// again.
const tooLongAge = 10 * time.Second

// search shows the result of a query. An empty result is an answer, not a missing page. Pages of results lead in one
// direction; the way back is the first page.
func (p *Pages) search(ctx context.Context, ref page.Ref) (*draft, error) {
	before, after := ref.Position()
	if after != 0 {
		return nil, fmt.Errorf("%w: searches have no page after a photo", wire.ErrBadRequest)
	}
	asked := query.Parse(ref.Name())
	view := templates.SearchPage{Site: p.siteFor(ref), Self: ref, Problem: asked.Problem}
	switch {
	case asked.Problem != "" || ref.Name() == "":
	case asked.Nothing() && len(asked.Items) > 0:
		view.Problem = "Add something to search for: everything in this search is left out."
	case asked.Nothing():
		view.Problem = "There is nothing here to search for: use words, tags or names."
	case asked.Cut:
		view.Note = fmt.Sprintf("Only the first %d words were searched for.", query.MaxWords)
	}
	if view.Problem != "" {
		asked = query.Query{}
	}
	rows, err := p.store.Search(ctx, &asked, ref.Order(), before)
	if errors.Is(err, store.ErrTooLong) { // the first attempt may have read everything from disk
		rows, err = p.store.Search(ctx, &asked, ref.Order(), before)
	}
	if errors.Is(err, store.ErrTooLong) {
		return p.searchTooLong(ctx, view)
	}
	if err != nil {
		return nil, err
	}
	view.Photos = p.cards(rows.Photos)
	if ref != ref.First() {
		view.Newer = ref.First()
	}
	if rows.Older > 0 {
		view.Older = ref.Before(rows.Older)
	}
	if rows.Building {
		view.Note = "The search index is being built. Search again in a few minutes."
	}
	p.searchNarrowed(&view, &asked, &rows)
	return shown(&rows.Snapshot, searchAge, templates.Search(view)), nil
}

// searchTooLong shows that a search takes too long. The page depends on nothing that changes and is cached, so
// repeated requests cost nothing.
func (p *Pages) searchTooLong(ctx context.Context, view templates.SearchPage) (*draft, error) {
	rows, err := p.store.Search(ctx, &query.Query{}, page.SortRelevance, 0) // what every page depends on
	if err != nil {
		return nil, err
	}
	view.Problem = "This search took too long. Add a word or a filter, such as year:2024, that narrows it."
	return shown(&rows.Snapshot, tooLongAge, templates.Search(view)), nil
}

// searchNarrowed adds people, tags, filters, orders and the correction of the query.
func (p *Pages) searchNarrowed(view *templates.SearchPage, asked *query.Query, rows *store.SearchPage) {
	ref := view.Self
	for _, u := range rows.People {
		view.People = append(view.People, templates.PersonCount{Person: person(u.Owner), Photos: int(u.PhotoCount),
			Picture: p.picture(u.Picture)})
	}
	for _, tag := range rows.Tags {
		view.Tags = append(view.Tags, templates.TagCount{Tag: tag.Value, Photos: tag.Photos})
	}
	if rows.Meant != nil {
		view.Meant, view.Verbatim = rows.Meant.String(), sameOrder(ref, asked.Quote(rows.Misspelt))
		asked = rows.Meant
	}
	if view.Problem != "" || len(asked.Items) == 0 {
		return
	}
	for i := range asked.Items {
		if it := &asked.Items[i]; it.Filter() {
			view.Active = append(view.Active, templates.Choice{Label: it.String(),
				Ref: sameOrder(ref, asked.Without(i))})
		}
	}
	view.Total = number(rows.Total)
	view.Filters = filters(ref, asked, rows)
	if len(rows.Photos) > 0 {
		for _, o := range [...]struct {
			order page.Sort
			label string
		}{{page.SortRelevance, "Best match"}, {page.SortNewest, "Newest"}, {page.SortLiked, "Most liked"}} {
			view.Orders = append(view.Orders, templates.Choice{Label: o.label, Ref: ref.Sorted(o.order),
				Current: o.order == ref.Order()})
		}
	}
}

// sameOrder returns the search for a text in the order of ref; the zero Ref if the text is too long for a query.
func sameOrder(ref page.Ref, text string) page.Ref {
	if len(text) > page.MaxQuery {
		return page.Ref{}
	}
	return page.Search(text).Sorted(ref.Order())
}

func number(c store.Count) templates.Number {
	return templates.Number{N: c.Photos, AtLeast: c.Precision == store.AtLeast, About: c.Precision == store.About}
}

// filters are the ways to narrow a search, without those that would change nothing.
func filters(ref page.Ref, asked *query.Query, rows *store.SearchPage) []templates.FilterGroup {
	groups := []templates.FilterGroup{{Name: "Year"}, {Name: "Orientation"}, {Name: "Camera"}, {Name: "People"},
		{Name: "Tags"}}
	at := map[query.Kind]int{query.Year: 0, query.Orientation: 1, query.Camera: 2, query.By: 3, query.Tag: 4}
	has := map[string]bool{}
	for i := range asked.Items {
		has[asked.Items[i].String()] = true
	}
	for _, f := range rows.Facets {
		g := &groups[at[f.Kind]]
		same := f.Photos == rows.Total.Photos && f.Precision == store.Exact && rows.Total.Precision == store.Exact
		if same || has[query.FilterText(f.Kind, f.Value)] || f.Kind != query.Year && len(g.Choices) >= store.FacetSize {
			continue
		}
		to := sameOrder(ref, asked.With(f.Kind, f.Value))
		if to == (page.Ref{}) {
			continue
		}
		g.Choices = append(g.Choices, templates.Choice{Label: cmp.Or(f.DisplayName, f.Value), Ref: to,
			Count: number(f.Count)})
	}
	shown := groups[:0]
	for _, g := range groups {
		if len(g.Choices) > 0 {
			shown = append(shown, g)
		}
	}
	return shown
}
