package renderer

import (
	"bytes"

	"flickrkillr/schema/wire"
)

// forms are the envelopes of one reply, each made on first use. Compressing here, once for all edges and for
// memcached, reduces the bytes on the bus to a fifth.
type forms struct {
	service       *Service
	reply         *wire.Reply
	plain, packed *bytes.Buffer // envelopes; nil until one is wanted
}

// of returns the envelope for one request: compressed if the request accepts gzip, or if the body is over half the
// size of a message, and if compression pays.
func (f *forms) of(j *job) *bytes.Buffer {
	tooLarge := int64(len(f.reply.Body)) > f.service.nc.MaxPayload()/2
	if (j.gzip || tooLarge) && f.reply.Compressible() {
		if f.packed == nil {
			f.packed = f.service.packed(f.reply)
		}
		return f.packed
	}
	if f.plain == nil {
		f.plain = f.service.buffer()
		f.reply.EncodeTo(f.plain)
	}
	return f.plain
}

// recycle releases the memory of the envelopes.
func (f *forms) recycle() {
	for _, buf := range []*bytes.Buffer{f.plain, f.packed} {
		if buf != nil {
			f.service.recycle(buf)
		}
	}
}

// packed returns the envelope of a reply with a compressed body. The ETag stays that of the uncompressed body.
func (s *Service) packed(reply *wire.Reply) *bytes.Buffer {
	body, envelope := s.buffer(), s.buffer()
	defer s.recycle(body)
	s.gzip.Pack(body, reply.Body)
	small := *reply
	small.Encoding, small.Body = wire.EncodingGzip, body.Bytes()
	small.EncodeTo(envelope)
	return envelope
}
