package renderer

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// assetSubject is an asset, or a compressed form of it, ready to be sent.
type assetSubject struct {
	subject  string
	envelope []byte
}

// offerAssets subscribes to each asset by its exact subject. While a new version rolls out, old and new renderers share
// the queue group, and a request for a new style sheet reaches only those that have it; when nobody has it, the bus
// says "no responders" at once.
func (s *Service) offerAssets() error {
	var index strings.Builder
	for _, a := range s.assets() {
		fmt.Fprintln(&index, a.subject)
		if size := int64(len(a.envelope)); size > s.nc.MaxPayload() {
			return fmt.Errorf("%w: %s has %d bytes, the bus takes %d", wire.ErrTooLarge, a.subject, size,
				s.nc.MaxPayload())
		}
		if err := s.offer(a); err != nil {
			return err
		}
	}
	return s.offer(assetSubject{wire.SubjectAssets, []byte(index.String())})
}

func (s *Service) offer(a assetSubject) error {
	err := s.work.add(s.nc.QueueSubscribe(a.subject, wire.QueueRenderer, func(m *nats.Msg) { s.sendAsset(m, a) }))
	if err != nil {
		return fmt.Errorf("subscribe to %s: %w", a.subject, err)
	}
	return nil
}

// sendAsset answers in the subscription's goroutine: there is nothing to wait for.
func (s *Service) sendAsset(m *nats.Msg, a assetSubject) {
	if m.Reply == "" {
		return
	}
	begun := time.Now()
	reply := &nats.Msg{Subject: m.Reply, Data: a.envelope, Header: nats.Header{wire.HeaderWorker: {s.id}}}
	if id := m.Header.Get(wire.HeaderRequest); id != "" {
		reply.Header.Set(wire.HeaderRequest, id)
	}
	code := "ok"
	if err := s.nc.PublishMsg(reply); err != nil {
		code = wire.Code(err)
		s.log.Warn("send an asset", "subject", a.subject, "err", err)
	}
	s.metrics.observe(page.KindAsset.String(), code, time.Since(begun))
	s.log.Debug("answered", "request", m.Header.Get(wire.HeaderRequest), "subject", a.subject, "code", code)
}

// assets encodes every form of every asset, once.
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
			if form.body == nil { // it would be no smaller, and whoever asks for it takes it as it is too
				form.encoding, form.body = "", a.Body
			}
			reply := wire.Reply{
				Status: http.StatusOK, ContentType: a.Type, Encoding: form.encoding, ETag: etag(form.body),
				MaxAge: wire.FixedAge,
				ReadAt: s.clock.Now(), Immutable: true, Body: form.body,
			}
			all = append(all, assetSubject{page.Asset(name).Encoded(form.token).Subject(), reply.Encode()})
		}
	}
	return all
}
