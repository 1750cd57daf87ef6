package renderer

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// maxReplyHeader is the most bytes of a reply's header, which count as its payload, and of an envelope's.
const maxReplyHeader = 1 << 10

// assetSubject is one form of an asset.
type assetSubject struct {
	subject  string
	largest  int           // bytes of the envelope, at most
	envelope func() []byte // made when it is first requested
}

// offerAssets subscribes to each asset by its exact subject. During a rolling deploy old and new renderers share the
// queue group, and only renderers that have an asset get requests for it. If none has it, NATS answers "no
// responders" at once.
func (s *Service) offerAssets() error {
	var index strings.Builder
	for _, a := range s.assets() {
		fmt.Fprintln(&index, a.subject)
		if size := int64(a.largest + maxReplyHeader); size > s.nc.MaxPayload() {
			return fmt.Errorf("%w: %s has %d bytes with its header, the bus takes %d", wire.ErrTooLarge, a.subject,
				size, s.nc.MaxPayload())
		}
		if err := s.offer(a); err != nil {
			return err
		}
	}
	names := []byte(index.String())
	return s.offer(assetSubject{wire.SubjectAssets, len(names), func() []byte { return names }})
}

func (s *Service) offer(a assetSubject) error {
	err := s.requests.add(s.nc.QueueSubscribe(a.subject, wire.QueueRenderer, func(m *nats.Msg) { s.sendAsset(m, a) }))
	if err != nil {
		return fmt.Errorf("subscribe to %s: %w", a.subject, err)
	}
	return nil
}

// sendAsset answers in the goroutine of the subscription, which has no other requests than those for this form. The
// first of them waits until it is compressed, for some 10 ms.
func (s *Service) sendAsset(m *nats.Msg, a assetSubject) {
	if !wire.ValidReply(m.Reply) {
		s.log.Debug("dropped a request without an inbox", "subject", m.Subject, "reply", m.Reply)
		return
	}
	begun := time.Now()
	reply := &nats.Msg{Subject: m.Reply, Data: a.envelope(), Header: nats.Header{wire.HeaderWorker: {s.id}}}
	if id := m.Header.Get(wire.HeaderRequest); id != "" {
		reply.Header.Set(wire.HeaderRequest, id)
	}
	code := "ok"
	if err := s.nc.PublishMsg(reply); err != nil {
		code = wire.Code(err)
		s.log.Warn("send an asset", "subject", a.subject, "err", err)
	}
	s.metrics.observe(page.KindAsset.String(), code, m.Header.Get(wire.HeaderRequest), time.Since(begun))
	s.log.Debug("answered", "request", m.Header.Get(wire.HeaderRequest), "subject", a.subject, "code", code)
}

// assets lists all forms of all assets.
func (s *Service) assets() []assetSubject {
	var all []assetSubject
	for _, name := range s.cfg.Assets.Names() {
		a, ok := s.cfg.Assets.Get(name)
		if !ok {
			continue
		}
		for _, form := range [...]struct {
			token, encoding string
			body            []byte
		}{{"", "", a.Body}, {"br", "br", a.Br}, {"gz", "gzip", a.Gzip}} {
			ref := page.Asset(name).Encoded(form.token)
			encode := func() []byte {
				reply := wire.Reply{
					Key: ref.Key(), Status: http.StatusOK, ContentType: a.Type, Encoding: form.encoding,
					MaxAge: wire.FixedAge, ReadAt: s.clock.Now(), Immutable: true, Body: form.body,
				}
				if reply.Body == nil { // compression does not make it smaller: send it uncompressed
					reply.Encoding, reply.Body = "", a.Body
				}
				reply.ETag = etag(reply.Body)
				return reply.Encode()
			}
			all = append(all, assetSubject{ref.Subject(), len(a.Body) + maxReplyHeader, sync.OnceValue(encode)})
		}
	}
	return all
}
