// Command pgo makes killr.pgo, the profile with which the compiler builds a release of killr.
//
// **Input**: a processor profile from the debug listener of a running site while it is visited. **Output**, on standard
// output: the part of it that the compiler reads (functions, lines, samples), without paths of this machine. **Must not
// touch**: the site.
//
//	go run . up --debug-addr 127.0.0.1:6060                           # in one terminal
//	go run . bench --pages-only --duration 60s                        # in another
//	go run ./ops/lab/pgo http://127.0.0.1:6060 > ops/lab/pgo/killr.pgo # in a third
//
// The profile is used where it is named: go build -pgo=ops/lab/pgo/killr.pgo. As default.pgo beside the main package it
// would be used for every build of that package, which would compile the standard library once more.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"time"

	"github.com/google/pprof/profile"
)

const seconds = 30 // of profile; half a minute of two processors is some 5,000 samples

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "pgo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 1 {
		return errors.New("name one debug listener, such as http://127.0.0.1:6060")
	}
	ctx, cancel := context.WithTimeout(ctx, (seconds+10)*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(
		ctx, http.MethodGet, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", args[0], seconds), nil,
	)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", req.URL, resp.Status)
	}
	p, err := profile.Parse(resp.Body)
	if err != nil {
		return fmt.Errorf("%s: %w", req.URL, err)
	}
	if len(p.Sample) == 0 {
		return errors.New("the profile is empty, because the site did nothing: run killr bench meanwhile")
	}
	strip(p)
	return p.Write(out)
}

// strip removes what identifies this machine.
func strip(p *profile.Profile) {
	for _, m := range p.Mapping {
		m.File, m.BuildID = "killr", ""
	}
	for _, f := range p.Function {
		f.Filename = path.Base(f.Filename)
	}
	p.Comments, p.TimeNanos = nil, 0
}
