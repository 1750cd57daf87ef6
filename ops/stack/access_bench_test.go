package stack

import (
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/wire"
)

// BenchmarkRequest is a request of an edge that a renderer answers at once, with a NATS that asks who signs in and with
// one that does not. cpu-µs/op is the processor time of NATS and both clients.
func BenchmarkRequest(b *testing.B) {
	seeds, err := MakeSeeds(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	for name, seeds := range map[string]Seeds{"open": nil, "signed-in": seeds} {
		b.Run(name, func(b *testing.B) {
			n, err := StartNATS(NATSConfig{Dir: b.TempDir(), Seeds: seeds})
			if err != nil {
				b.Fatal(err)
			}
			defer n.Stop()
			env := Env{NATS: n.URL(), Seeds: seeds}
			edge, err := Connect(env.Login(wire.RoleEdge), "edge", nil)
			if err != nil {
				b.Fatal(err)
			}
			defer edge.Close()
			renderer, err := Connect(env.Login(wire.RoleRenderer), "renderer", nil)
			if err != nil {
				b.Fatal(err)
			}
			defer renderer.Close()
			body := make([]byte, 8<<10)
			_, err = renderer.QueueSubscribe("page.>", wire.QueueRenderer, func(m *nats.Msg) { _ = m.Respond(body) })
			if err != nil || renderer.FlushTimeout(time.Minute) != nil {
				b.Fatal("no connection", err)
			}
			before := processorTime(b)
			for b.Loop() {
				if _, err := edge.Request("page.user.ansel", nil, time.Minute); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((processorTime(b)-before).Nanoseconds())/1e3/float64(b.N), "cpu-µs/op")
		})
	}
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
