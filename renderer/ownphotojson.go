package renderer

import (
	"context"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

// photoAsJSON answers a program that asks for one of a person's own photos, with what its form shows.
func (d *actionRun) photoAsJSON(ctx context.Context, v visit, asked wire.PrivateRequest) (*outcome, error) {
	values := map[string]string{"id": asked.Values.Get("id")}
	p := templates.PrivatePage{Site: d.maker.site, Kind: page.PrivatePhoto, Form: templates.Form{Values: values}}
	if err := d.addPhotosTo(ctx, &p, v, ""); err != nil {
		return nil, err
	}
	tags, problem := form(values).tags("tags")
	if problem != nil {
		return nil, problem
	}
	return &outcome{view: asJSON(struct {
		ID          int64    `json:"id"`
		Title       string   `json:"title"`
		Description string   `json:"description"`
		Tags        []string `json:"tags"`
		Taken       string   `json:"taken,omitempty"` // a day
		Visibility  string   `json:"visibility"`
		Licence     string   `json:"licence"`
		Download    string   `json:"download"` // everybody or owner
	}{p.Photos[0].ID, values["title"], values["description"], *tags, values["taken"], values["visibility"],
		values["licence"], values["download"]})}, nil
}
