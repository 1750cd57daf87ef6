package stack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// How a nats-server leaves others: it moves the leaders of streams, and then its clients in this time.
const (
	leaveGrace = time.Second
	leaveTime  = 5 * time.Second
	// wholeLimit is how long a server waits for JetStream to be whole before it says that it is ready. Of a cluster
	// that starts, most servers have to be there first.
	wholeLimit = 20 * time.Second
)

// NATSFile is an embedded nats-server that runs as a file in nats-server's own format says.
type NATSFile struct {
	server  *server.Server
	started time.Time
}

// StartNATSFile starts the server. The error says what is wrong with the file. It takes connections when Ready says so.
func StartNATSFile(path string, logger *slog.Logger) (*NATSFile, error) {
	opts, err := server.ProcessConfigFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration of the bus: %w", err)
	}
	opts.NoSigs = true // signals belong to the program that embeds it
	opts.LameDuckGracePeriod, opts.LameDuckDuration = leaveGrace, leaveTime
	s, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("start the bus: %w", err)
	}
	s.SetLogger(&natsLog{logger: logger}, false, false)
	s.Start()
	return &NATSFile{server: s, started: time.Now()}, nil
}

// Ready says what is missing: connections, or JetStream.
func (n *NATSFile) Ready() error {
	if !n.server.Running() {
		return errors.New("the bus has ended: its log says why")
	}
	if !n.server.ReadyForConnections(time.Millisecond) {
		return errors.New("it takes no connections yet")
	}
	answer := httptest.NewRecorder()
	n.server.HandleHealthz(answer, httptest.NewRequest(http.MethodGet, "/healthz", nil))
	if answer.Code != http.StatusOK && time.Since(n.started) < wholeLimit {
		return fmt.Errorf("JetStream is not whole yet: %s", answer.Body)
	}
	return nil
}

// Run waits until ctx ends. Then a server of a cluster moves its leaders and clients to others before it ends.
func (n *NATSFile) Run(ctx context.Context) error {
	ended := make(chan struct{})
	go func() {
		n.server.WaitForShutdown()
		close(ended)
	}()
	select {
	case <-ended:
		return errors.New("the bus has ended: its log says why")
	case <-ctx.Done():
	}
	if n.server.NumRoutes() > 0 {
		n.server.LameDuckShutdown()
	}
	n.server.Shutdown()
	<-ended
	return nil
}
