package ladder

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"flickrkillr/schema/page"
)

// ServeRung keeps one version of the site up until ctx ends, with the pictures of the front page and of the user's, so
// that it can be viewed in a browser. It calls ready with the address once the version answers. cfg is that of Run;
// Addr says where to listen.
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
	pictures, err := c.shownPictures(ctx)
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

// shownPictures lists the pictures that the front page and the page of the user link to.
func (c *climb) shownPictures(ctx context.Context) (refs []page.Ref, err error) {
	for _, ref := range []page.Ref{page.Home(), page.User(c.cfg.User)} {
		body, err := MakePage(ctx, c.cfg.Pool, ref)
		if err != nil {
			return nil, err
		}
		more, err := picturesOf(body)
		if err != nil {
			return nil, err
		}
		for _, picture := range more {
			if !slices.Contains(refs, picture) {
				refs = append(refs, picture)
			}
		}
	}
	return refs, nil
}
