// Package report writes the result of an instrument as one HTML page with plots.
//
// **Input**: a [Page] of figures, plots and tables. **Output**: self-contained HTML: no script, picture or font, and no
// server. **Must not touch**: the network, the clock, the types of the instruments.
package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
)

// Page is a report from top to bottom.
type Page struct {
	Title   string // the instrument, such as "benchmark"
	When    string
	Summary []string // sentences at the head
	Figures []Figure // the few numbers that matter most
	Notes   []string // reasons to distrust the figures
	Plots   []Plot
	Tables  []Table
	Foot    string
}

// Figure is one large number.
type Figure struct{ Value, Unit, Label string }

// Table is a table whose first column holds names.
type Table struct {
	Title    string
	Heads    []string // of the columns after the first
	Rows     [][]string
	TextLast bool // the last column holds sentences, not numbers
}

//go:embed report.html
var layout string

//go:embed report.css
var style string

// Write writes the page as HTML. Its Content-Security-Policy allows its own style sheet and nothing else.
func (p Page) Write(w io.Writer) error {
	t, err := template.New("report").Parse(layout)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	hash := sha256.Sum256([]byte(style))
	var b bytes.Buffer
	err = t.Execute(&b, struct {
		Page
		Policy string
		Style  template.CSS
	}{p, "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-" +
		base64.StdEncoding.EncodeToString(hash[:]) + "'", template.CSS(style)})
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	_, err = w.Write(b.Bytes())
	return err
}

// WriteFile writes the page to a file, completely or not at all.
func (p Page) WriteFile(name string) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".making-")
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	err = errors.Join(p.Write(f), f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write the report: %w", err), os.Remove(f.Name()))
	}
	return nil
}
