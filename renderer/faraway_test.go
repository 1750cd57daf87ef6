package renderer_test

import (
	"context"
	"log/slog"
	"net/url"
	"testing"
	"time"

	"flickrkillr/ops/lab/scale"
	"flickrkillr/ops/testenv"
	"flickrkillr/renderer"
	"flickrkillr/renderer/pictures"
	"flickrkillr/schema/wire"
)

// TestPostgresFarAway: a renderer gets ready although a connection and what it asks first take longer, all together,
// than one answer may.
func TestPostgresFarAway(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(testenv.DatabaseURL(t))
	if err != nil {
		t.Fatal(err)
	}
	const roundTrip = 200 * time.Millisecond
	line, err := scale.Listen(u.Host, scale.Line{There: roundTrip / 2, Back: roundTrip / 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = line.Close() })
	u.Host = line.Addr()
	dir, err := pictures.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.Close() })
	s, err := renderer.New(renderer.Config{
		NATS: testenv.ConnectAs(t, testenv.NATS(t), wire.RoleRenderer), Pool: testenv.Pool(t, u.String()),
		Pictures: dir,
		Logger:   slog.New(slog.NewTextHandler(t.Output(), nil)),
		// A statement takes two round trips the first time, and three are asked before it serves.
		ReadTimeout: 5 * roundTrip,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	testenv.Eventually(t, "the renderer is ready", func() bool { return s.Ready() == nil })
	cancel()
	if err := <-ended; err != nil {
		t.Error("Run:", err)
	}
}
