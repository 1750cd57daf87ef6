package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

const (
	// imageUser has no rights, and no name: the image has no list of users.
	imageUser = 65532
	// imageState is the only folder that a role writes to, a renderer. Mount a volume there.
	imageState = "/var/lib/killr"
	// rootCertificates are those of this computer, by which a role knows servers of mail, pictures and certificates.
	rootCertificates = "/etc/ssl/certs/ca-certificates.crt"
)

// writeImage writes an image as `docker save` does.
func writeImage(p program, to string) error {
	image, err := newImage(p)
	if err != nil {
		return fmt.Errorf("make the image: %w", err)
	}
	tag, err := name.NewTag("killr:" + imageTag(p.version))
	if err != nil {
		return fmt.Errorf("name the image: %w", err)
	}
	return tarball.WriteToFile(to, tag, image)
}

// imageTag is a version as a tag, which has no plus sign.
func imageTag(version string) string {
	return strings.ReplaceAll(version, "+", "-")
}

// newImage makes an image that runs the program, as a user without rights. Its root file system may be read-only.
func newImage(p program) (v1.Image, error) {
	files, err := imageFiles(p)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(files)), nil
	})
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config.OS, config.Architecture = "linux", p.arch
	config.Config = v1.Config{
		Entrypoint: []string{"/killr"}, User: fmt.Sprint(imageUser), WorkingDir: imageState,
		Env: []string{"KILLR_DATA=" + imageState}, Volumes: map[string]struct{}{imageState: {}},
		Labels: map[string]string{"org.opencontainers.image.version": p.version},
	}
	return mutate.ConfigFile(image, config)
}

// imageFiles is a tar archive of what is in the image. It is the same for the same program.
func imageFiles(p program) ([]byte, error) {
	var b bytes.Buffer
	archive := tar.NewWriter(&b)
	certificates, err := os.ReadFile(rootCertificates)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for _, f := range []struct {
		name string
		mode int64
		user int
		text []byte
	}{
		{"killr", 0o755, 0, p.bytes},
		{"etc/", 0o755, 0, nil},
		{"etc/ssl/", 0o755, 0, nil},
		{"etc/ssl/certs/", 0o755, 0, nil},
		{rootCertificates[1:], 0o644, 0, certificates},
		{"tmp/", 0o1777, 0, nil},
		{"var/", 0o755, 0, nil},
		{"var/lib/", 0o755, 0, nil},
		{imageState[1:] + "/", 0o750, imageUser, nil},
	} {
		header := &tar.Header{Name: f.name, Mode: f.mode, Uid: f.user, Gid: f.user, Size: int64(len(f.text)),
			Typeflag: tar.TypeReg, ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
		if f.name[len(f.name)-1] == '/' {
			header.Typeflag = tar.TypeDir
		}
		if err := archive.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := archive.Write(f.text); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
