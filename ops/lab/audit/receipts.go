package audit

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"flickrkillr/ops/lab/person"
	schema "flickrkillr/schema/page"
	"flickrkillr/schema/sleep"
)

// receiptEvery is the time between two requests for a receipt.
const receiptEvery = 500 * time.Millisecond

// removeForGood removes a photo from the bin. The answer leads to a receipt, and its owner finds that at once: rule
// "lost". It becomes complete when the disk is free and no edge shows the photo. The audit counts those that do before
// it ends.
func (p *people) removeForGood(ctx context.Context, m *member, edge string, photo string) bool {
	form := url.Values{"do": {"remove"}, "photos": {photo}}
	begin := p.a.now()
	answer, err := p.post(context.WithoutCancel(ctx), edge, schema.PrivateBin.Path(), m.browsers[0], form)
	if err != nil || answer.Status != http.StatusSeeOther {
		return false
	}
	receipt := answer.Header.Get("Location")
	switch {
	case strings.HasPrefix(receipt, schema.PrivateSignIn.Path()): // the session has ended meanwhile
		return true
	case !strings.HasPrefix(receipt, schema.PrivatePhotoReceipt.Path()+"?"):
		p.violated("lost", edge+schema.PrivateBin.Path(), answer, begin,
			"%s has deleted a photo for good, which leads to %q and to no receipt", m.name, receipt)
		return true
	}
	p.a.tally.receipt(false)
	p.probes.Go(func() { p.watchReceipt(ctx, m, edge, receipt) })
	return true
}

// watchReceipt requests a receipt until it is complete, or ctx ends.
func (p *people) watchReceipt(ctx context.Context, m *member, edge, receipt string) {
	for more := true; more; more = sleep.For(ctx, receiptEvery) {
		begin := p.a.now()
		answer, err := p.web.GetJSON(ctx, edge, receipt, person.Session{Cookie: *m.cookie.Load()})
		if err != nil {
			continue
		}
		var said struct{ Complete bool }
		switch {
		case answer.Status == http.StatusNotFound:
			p.violated("lost", edge+receipt, answer, begin, "%s does not find the receipt of a photo", m.name)
			return
		case answer.Status == http.StatusOK && json.Unmarshal(answer.Body, &said) == nil && said.Complete:
			p.a.tally.receipt(true)
			return
		}
	}
}
