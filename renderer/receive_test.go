package renderer

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/wire"
)

// TestAnswersOnlyInboxes: an operator cannot have a renderer publish where the operator may not, by a reply subject.
func TestAnswersOnlyInboxes(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, nil)
	js, err := jetstream.New(st.nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateOrUpdateKeyValue(t.Context(), wire.SessionsConfig()); err != nil {
		t.Fatal(err)
	}
	published := make(chan *nats.Msg, 64)
	replies := []string{
		"$JS.API.STREAM.DELETE.KV_SESSIONS", "$JS.API.STREAM.DELETE.CHANGES", "$KV.SESSIONS.forged", "changed.forged",
		wire.SubjectEarlyInvalidation, "_INBOX.*",
	}
	for _, reply := range replies {
		if _, err := st.nc.ChanSubscribe(reply, published); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	operator := testenv.ConnectAs(t, st.url, wire.RoleOperator)
	asset := strings.Fields(string(st.request(t, wire.SubjectAssets).Data))[0]
	// A wrong deadline has an answer without a body, which JetStream takes for a good request to delete.
	header := nats.Header{wire.HeaderDeadline: {"x"}}
	subjects := []string{"page.home", "action.photo.edit", "picture.x.320", asset, "$SRV.PING", "$SRV.STATS.renderer"}
	for _, subject := range subjects {
		for _, reply := range replies {
			msg := &nats.Msg{Subject: subject, Reply: reply, Header: header}
			if err := operator.PublishMsg(msg); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, subject := range subjects { // each subscription is answered in order, so what came before is done
		msg := &nats.Msg{Subject: subject, Header: header}
		if _, err := operator.RequestMsg(msg, time.Minute); err != nil {
			t.Fatalf("%s: %v", subject, err)
		}
	}
	if err := st.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	for range len(published) {
		t.Errorf("it published to %s", (<-published).Subject)
	}
	for _, stream := range []string{"KV_SESSIONS", wire.StreamChanges} {
		if _, err := js.Stream(t.Context(), stream); err != nil {
			t.Errorf("%s: %v", stream, err)
		}
	}
}
