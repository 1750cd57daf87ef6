package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"

	"flickrkillr/schema/page"
)

// Users lists the page of every user with public photos, most photos first, from the database at a postgres:// URL.
func Users(ctx context.Context, url string) ([]Page, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("list the users to visit: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, "SELECT name FROM users WHERE photo_count > 0 ORDER BY photo_count DESC, id")
	if err != nil {
		return nil, fmt.Errorf("list the users to visit: %w", err)
	}
	pages, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Page, error) {
		var name string
		err := row.Scan(&name)
		return PageAt(page.User(name).Path()), err
	})
	if err != nil {
		return nil, fmt.Errorf("list the users to visit: %w", err)
	}
	return pages, nil
}

// ReadPages reads a list of paths, one per line. Empty lines and lines that begin with # are skipped.
func ReadPages(r io.Reader) ([]Page, error) {
	var pages []Page
	for lines := bufio.NewScanner(r); ; {
		if !lines.Scan() {
			return pages, lines.Err()
		}
		line := strings.TrimSpace(lines.Text())
		switch {
		case line == "" || line[0] == '#':
		case line[0] != '/':
			return nil, fmt.Errorf("%q is not a path: it must begin with a slash", line)
		default:
			pages = append(pages, PageAt(line))
		}
	}
}

// PageAt is the page at a path. Its user is taken from the path, if it names one.
func PageAt(path string) Page {
	p := Page{Path: path}
	if ref, err := page.ParsePath(path); err == nil && ref.Kind() == page.KindUser {
		p.User = ref.Name()
	}
	return p
}
