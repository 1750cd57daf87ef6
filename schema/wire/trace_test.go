package wire

import (
	"strings"
	"testing"
)

func TestTrace(t *testing.T) {
	t.Parallel()
	const given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	got, ok := ParseTrace(given)
	if !ok || got.String() != given || got.ID() != "4bf92f3577b34da6a3ce929d0e0e4736" || !got.Sampled() {
		t.Errorf("%s is read as %+v", given, got)
	}
	for text, sampled := range map[string]bool{
		"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03-more": true,
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00":      false,
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-fe":      false,
	} {
		if got, ok := ParseTrace(text); !ok || got.Sampled() != sampled || got.ID() != given[3:35] {
			t.Errorf("%s is read as %+v, %v", text, got, ok)
		}
	}
	for _, text := range []string{
		"", "00", strings.Repeat("0", 55), given + "-more", given + "0", "ff" + given[2:], strings.ToUpper(given),
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
		"0x" + given[2:], "00_" + given[3:], given[:35] + "_" + given[36:], given[:52] + "_01", given[:53] + "0g",
		"01" + given[2:] + "more",
	} {
		if got, ok := ParseTrace(text); ok {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
	next := got.Next("edge1a")
	if next.ID() != got.ID() || next.span == got.span || !next.Sampled() {
		t.Errorf("%s goes on as %s", got, next)
	}
	begun := Trace{}.Next("edge1a")
	if read, ok := ParseTrace(begun.String()); !ok || read != begun || begun.Sampled() ||
		begun == (Trace{}).Next("edge1b") {
		t.Errorf("a request without a trace begins %s", begun)
	}
	if (Trace{}).String() != "" {
		t.Error("no trace has a text")
	}
}
