package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	roles "flickrkillr/ops/site"
	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/pictures"
	"flickrkillr/schema/page"
)

func TestScaleUnderLoad(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, 1)
	l := s.visitors(8)
	l.more(t, 200)
	for _, n := range []int{4, 1, 3, 1} {
		s.scale(n)
		l.more(t, 200)
	}
	l.mustBeClean(t)
}

// TestEdgeStopsWithoutCuttingAnybody: visitors are in the middle of a picture when an edge is told to stop. Once nobody
// else can connect, they get the rest.
func TestEdgeStopsWithoutCuttingAnybody(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, 1)
	noise := storeNoise(t, s.pictures)
	s.exec("INSERT INTO images (id, bytes, width, height, color) VALUES ($1, 1, 1000, 700, 0)", noise)
	id := column[int64](s, `INSERT INTO photos (user_id, image_id, width, height, color)
		VALUES ((SELECT min(id) FROM users), $1, 1000, 700, 0) RETURNING id`, noise)[0]
	client := newClient(t, 1)
	_, _, body, err := testenv.Fetch(t.Context(), client, s.urls[0]+page.Photo(id).Path())
	must(t, err)
	shown := pictureLink.FindString(body)
	path := shown[:strings.LastIndexByte(shown, '/')+1] + "1280.jpg"
	status, _, picture, err := testenv.Fetch(t.Context(), client, s.urls[0]+path)
	if err != nil || status != http.StatusOK || len(picture) < 64<<10 {
		t.Fatalf("%s: %d, %d bytes, %v", path, status, len(picture), err)
	}
	addr := strings.TrimPrefix(s.urls[0], "http://")
	narrow := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error { // so that the edge holds the rest
		var err error
		return errors.Join(c.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096)
		}), err)
	}}
	var begun []*http.Response
	for range 8 {
		conn, err := narrow.DialContext(t.Context(), "tcp", addr)
		must(t, err)
		defer conn.Close()
		_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, addr)
		must(t, err)
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		must(t, err)
		begun = append(begun, answer)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- s.roles.Remove(roles.Edge) }()
	testenv.Eventually(t, "nobody else can connect", func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	for _, answer := range begun {
		body, err := io.ReadAll(answer.Body)
		if err != nil || string(body) != picture {
			t.Errorf("a visitor got %d of %d bytes: %v", len(body), len(picture), err)
		}
	}
	must(t, <-stopped)
	must(t, s.roles.Remove(roles.Renderer))
}

// storeNoise stores a picture that does not compress, and returns its id.
func storeNoise(t *testing.T, dir string) (id string) {
	t.Helper()
	noise := image.NewRGBA(image.Rect(0, 0, 1000, 700))
	chance := rand.New(rand.NewPCG(1, 2))
	for i := range noise.Pix {
		noise.Pix[i] = byte(chance.Uint64())
	}
	var file bytes.Buffer
	must(t, jpeg.Encode(&file, noise, nil))
	store, err := pictures.OpenDir(dir)
	must(t, err)
	id = strings.Repeat("n", 26)
	_, err = pictures.IngestAs(t.Context(), store, id, &file, pictures.Limits{})
	must(t, errors.Join(err, store.Close()))
	return id
}

// TestRenderersRestartedInTurn: SIGTERM to one renderer after another, each once the one before serves again. Requests
// on the bus, which nobody repeats or hedges, are all answered.
func TestRenderersRestartedInTurn(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, 3)
	visitors, plain := s.visitors(4), s.busRequests(4)
	for range 2 {
		for i, old := range s.pids(roles.Renderer) {
			must(t, syscall.Kill(old, syscall.SIGTERM))
			testenv.Within(t, time.Minute, "another process has replaced it", func() bool {
				now := s.pids(roles.Renderer)[i]
				return now != 0 && now != old
			})
			s.waitReady()
			plain.more(t, 50)
		}
	}
	visitors.mustBeClean(t)
	plain.mustBeClean(t)
}

// TestCachefillGone: everything works without a cachefill, and a change shows.
func TestCachefillGone(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, 2)
	l := s.visitors(8)
	l.more(t, 200)
	must(t, s.roles.Remove(roles.Cachefill))
	l.more(t, 400)
	s.retitle(t, "without a cachefill")
	must(t, s.cache.Restart(t.Context())) // and empty
	l.more(t, 400)
	l.mustBeClean(t)
	s.retitle(t, "without a cachefill, from an empty memcached")
}
