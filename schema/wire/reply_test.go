package wire

import "testing"

func TestValidReply(t *testing.T) {
	t.Parallel()
	for subject, want := range map[string]bool{
		"_INBOX.Gxr1.1": true, "_INBOX_edge.Gxr1.1": true, "_INBOX_renderer.x": true, "_INBOX_cachefill.x": true,
		"_INBOX_audit.x": true,
		"":               false, "_INBOX": false, "_INBOX.": false, "_INBOX.>": false, "_INBOX.*.1": false,
		"_INBOX_.x": false, "_INBOX_operator.x": true, "_INBOX_other.x": false, "_INBOXES.x": false,
		"x._INBOX.y":   false,
		"changed.tick": false, "hint.changed": false, "$KV.SESSIONS.x": false, "$JS.API.STREAM.DELETE.CHANGES": false,
		"$SRV.PING": false, "page.home": false,
	} {
		t.Run(subject, func(t *testing.T) {
			t.Parallel()
			if got := ValidReply(subject); got != want {
				t.Errorf("ValidReply says %v", got)
			}
		})
	}
}
