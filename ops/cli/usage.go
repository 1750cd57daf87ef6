package cli

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"
)

// errUsage is what is wrong with the command line, found after it was parsed. The exit status is 2.
type errUsage struct{ error }

func (e errUsage) Unwrap() error { return e.error }

// usage makes an error of the command line of another one.
func usage(err error) error { return errUsage{err} }

// checkAddr refuses what is no address to listen on. flag is its name.
func checkAddr(flag, addr string) error {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return fmt.Errorf("%s %s is no address to listen on: give one such as 127.0.0.1:8080", flag, addr)
	}
	return nil
}

// explain prints what is wrong with the command line. parsed is nil if kong refused it. Without a command it prints
// them all.
func explain(w io.Writer, parser *kong.Kong, parsed *kong.Context, err error) {
	if wrong, ok := errors.AsType[*kong.ParseError](err); ok {
		parsed = wrong.Context
	}
	if parsed != nil && parsed.Selected() != nil {
		fmt.Fprintf(w, "killr: %v (see killr %s --help)\n", err, parsed.Selected().Path())
		return
	}
	said := err.Error()
	if !strings.HasPrefix(said, "expected one of") { // kong names only the first commands
		said = strings.Replace(said, "unexpected argument", "there is no command", 1)
		fmt.Fprintf(w, "killr: %s (see killr --help)\n", said)
		return
	}
	fmt.Fprintln(w, "killr: say what to do\nThe commands are:")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, command := range parser.Model.Leaves(true) {
		fmt.Fprintf(table, "  %s\t%s\n", command.Path(), command.Help)
	}
	_ = table.Flush() // w fails as it did for the line before
	fmt.Fprintln(w, "See killr COMMAND --help for the flags of one.")
}
