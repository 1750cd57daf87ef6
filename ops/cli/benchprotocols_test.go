package cli

import (
	"testing"

	"flickrkillr/ops/lab/peers"
)

// TestPeersOverProtocols: over each protocol all serve the same page, a near hit in the same compressed bytes, and what
// is measured of each is possible. The command itself fails where another protocol is spoken than was meant.
func TestPeersOverProtocols(t *testing.T) {
	t.Parallel()
	var result peers.Result
	measures(t, &result, "bench", "--peers", "--tls", "--rounds", "1", "--duration", "200ms", "--visitors", "2",
		"--json")
	checkPeers(t, &result)
	if !result.Gzip || result.Load == "" {
		t.Errorf("compressed: %v, load average %q", result.Gzip, result.Load)
	}
	near, cold := map[string]int{}, map[string]int{}
	for _, p := range result.Peers {
		if p.Cold {
			cold[p.Protocol]++
		} else {
			near[p.Protocol]++
		}
	}
	if len(near) != 3 || len(cold) != 3 {
		t.Errorf("protocols of near hits %v, of cold pages %v", near, cold)
	}
	for _, protocol := range []string{"h1", "h1+TLS", "h2+TLS"} {
		if near[protocol] != 3 || cold[protocol] != 4 {
			t.Errorf("%s: %d servers of near hits and %d of cold pages, want 3 and 4", protocol, near[protocol],
				cold[protocol])
		}
	}
	if len(result.Targets) != 6 {
		t.Errorf("%d targets", len(result.Targets))
	}
	for _, target := range result.Targets {
		if target.Met != (target.Ratio > 0 && target.Ratio <= target.Most) {
			t.Errorf("%+v", target)
		}
	}
}
