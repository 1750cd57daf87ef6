// Command packages makes packages of a program that was built: one for Debian, and an OCI image.
//
//	CGO_ENABLED=0 go build -pgo=ops/lab/pgo/killr.pgo -ldflags '-s -w -X main.version=1.0.0' -o killr .
//	go run ./ops/deploy/packages -deb killr.deb -image killr.tar killr
//
// **Input**: a program for Linux without libraries of C. **Output**: a file for `dpkg -i`, and one for `docker load` or
// `podman load`. **Must not touch**: anything else.
package main

import (
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

func main() {
	deb := flag.String("deb", "", "write a package for Debian to `FILE`")
	image := flag.String("image", "", "write an OCI image to `FILE`, as docker save does")
	flag.Parse()
	if err := run(context.Background(), flag.Args(), *deb, *image); err != nil {
		fmt.Fprintln(os.Stderr, "packages:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, deb, image string) error {
	if len(args) != 1 || deb == "" && image == "" {
		return errors.New("say which program, and what to make of it: packages -deb FILE -image FILE PROGRAM")
	}
	p, err := readProgram(ctx, args[0])
	if err == nil && deb != "" {
		err = writeDeb(ctx, p, deb)
	}
	if err == nil && image != "" {
		err = writeImage(p, image)
	}
	return err
}

// program is what is packed.
type program struct {
	bytes   []byte
	version string // semantic, as `killr version` says
	build   string // the first digits of the SHA-256, as in folders of releases
	arch    string // of Go and Debian, which agree on amd64 and arm64
}

// buildDigits is how many digits of the SHA-256 name a build.
const buildDigits = 16

// readProgram reads a program, and runs it to learn its version.
func readProgram(ctx context.Context, path string) (p program, err error) {
	if p.bytes, err = os.ReadFile(path); err != nil {
		return program{}, err
	}
	sum := sha256.Sum256(p.bytes)
	p.build = hex.EncodeToString(sum[:])[:buildDigits]
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return program{}, err
	}
	for _, s := range info.Settings {
		if s.Key == "GOARCH" {
			p.arch = s.Value
		}
	}
	if err := standsAlone(path); err != nil {
		return program{}, fmt.Errorf("%s: %w", path, err)
	}
	out, err := exec.CommandContext(ctx, path, "version").Output()
	words := strings.Fields(string(out))
	if err != nil || len(words) < 2 || words[0] != "killr" || !strings.HasSuffix(words[1], p.build) {
		return program{}, fmt.Errorf("%s does not say its version: %w: %s", path, err, out)
	}
	p.version = words[1]
	return p, nil
}

// standsAlone returns an error if a program needs libraries of C, which the machine may have in another version, and an
// image not at all.
func standsAlone(path string) error {
	file, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	for _, part := range file.Progs {
		if part.Type == elf.PT_INTERP {
			return errors.New("it needs libraries of C: build it with CGO_ENABLED=0")
		}
	}
	return nil
}
