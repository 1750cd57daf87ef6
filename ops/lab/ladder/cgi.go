package ladder

import (
	"context"
	"net/http"
	"net/http/cgi"
	"os"

	"flickrkillr/ops/lab/rig"
)

var rungCGI = rung{
	Version: "0.1", Then: 23,
	What:  "a CGI process and a database connection for each page",
	Wrong: "Nearly all of the time is start-up: each page starts a program, opens a database connection, and uses both once.",
	start: func(ctx context.Context, c *climb) (*rig.Server, error) {
		return c.startSelf(ctx, Serving{Version: versionCGI})
	},
}

// cgi runs a program for each page. The web server in front of it serves files itself, as Apache did.
func (s Serving) cgi() http.Handler {
	return &cgi.Handler{
		Path: s.Page[0], Args: s.Page[1:], Root: "/", Env: append(os.Environ(), "DATABASE_URL="+s.Postgres),
		Stderr: os.Stderr,
	}
}

// ServePage is that program: it answers the one request in CGI's environment variables.
func ServePage(ctx context.Context, postgres string) error {
	pages, closePages, err := openPages(ctx, postgres, 1)
	if err != nil {
		return err
	}
	defer closePages()
	return cgi.Serve(pages)
}
