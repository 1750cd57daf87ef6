package ladder

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"flickrkillr/schema/page"
)

// ServeRung keeps one version of the site up until ctx ends, with the pictures of every page, so that it can be viewed
// in a browser. It calls ready with the address once the version answers. cfg is that of Run; Addr says where to
// listen.
func ServeRung(ctx context.Context, cfg Config, version string, ready func(url string)) (err error) {
	r, err := rungNamed(version)
	if err != nil {
		return err
	}
	c, err := begin(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.end()) }()
	pictures, err := c.allPictures(ctx)
	if err != nil {
		return err
	}
	if err := c.prepare(ctx, pictures); err != nil {
		return err
	}
	server, err := r.start(ctx, c)
	if err != nil {
		return err
	}
	ready(server.URL())
	<-ctx.Done()
	return server.Stop()
}

// CheckVersion returns an error unless ServeRung knows the version.
func CheckVersion(version string) error {
	_, err := rungNamed(version)
	return err
}

func rungNamed(version string) (*rung, error) {
	var known []string
	for _, r := range rungs {
		if r.Version == version {
			return r, nil
		}
		known = append(known, r.Version)
	}
	return nil, fmt.Errorf("there is no version %q: it is one of %s", version, strings.Join(known, ", "))
}

// maxPictures bounds the originals that are prepared. The demonstration data has about a hundred.
const maxPictures = 1000

// allPictures lists every picture in every width.
func (c *climb) allPictures(ctx context.Context) (refs []page.Ref, err error) {
	rows, err := c.cfg.Pool.Query(ctx, "SELECT id FROM images ORDER BY id LIMIT $1", maxPictures)
	if err != nil {
		return nil, fmt.Errorf("list the pictures: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, id := range ids {
		for _, width := range page.Widths() {
			refs = append(refs, page.Image(id, width))
		}
	}
	return refs, err
}
