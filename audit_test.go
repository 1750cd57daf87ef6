package main

import (
	"strings"
	"testing"

	"flickrkillr/ops/audit"
	"flickrkillr/ops/testenv"
)

func TestAuditSparesPeoplesPhotos(t *testing.T) {
	t.Parallel()
	status, _, logs := killr(t.Context(), "audit", "--edge", "http://127.0.0.1:1", "--postgres", testenv.DatabaseURL(t), "--nats", testenv.NATS(t))
	if status != 1 || !strings.Contains(logs, "--yes") {
		t.Errorf("status %d: %s", status, logs)
	}
}

func TestAuditChoosesFaults(t *testing.T) {
	t.Parallel()
	all := []audit.Fault{{Name: "pull the plug"}, {Name: "turn it off"}}
	for _, c := range []struct {
		command auditCommand
		want    int
	}{{auditCommand{Faults: true}, 2}, {auditCommand{}, 0}, {auditCommand{Faults: true, Fault: []string{"turn it off"}}, 1}} {
		if got, err := c.command.chosen(all); err != nil || len(got) != c.want {
			t.Errorf("%+v: %v, %v", c.command, got, err)
		}
	}
	_, err := (&auditCommand{Faults: true, Fault: []string{"burn it"}}).chosen(all)
	if err == nil || !strings.Contains(err.Error(), `"pull the plug", "turn it off"`) {
		t.Errorf("%v", err)
	}
}
