package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"
)

// Reply is a page, asset or picture, with the data that decide whether a copy may still be shown. Its encoding, the
// envelope, is what a renderer sends and what memcached holds, byte for byte.
type Reply struct {
	Key         string        // page.Ref.Key of what was requested
	Status      int           // HTTP status that the page deserves: 200, 404, 410, ...
	ContentType string        // MIME type
	Encoding    string        // Content-Encoding of Body: "", "br", "gzip"
	ETag        string        // hash of the uncompressed body, without quotes
	MaxAge      time.Duration // age from which a copy is stale, in whole seconds; 0: never keep a copy
	ReadAt      time.Time     // when its rows were read, in cluster time
	Depends     []Dep         // the versions that its rows had
	Immutable   bool          // the body never changes under this name, but may go, see GoneOnly
	Body        []byte
}

// GoneOnly reports that of the changes of its scopes only those count that took something away: the body never changes,
// but what it shows may cease to be public. An immutable reply that depends on nothing never goes.
func (r *Reply) GoneOnly() bool { return r.Immutable && len(r.Depends) > 0 }

// Dep is a scope, such as "user.ansel", and the version its rows had when they were read.
type Dep struct {
	Scope   string
	Version int64
}

// Shows reports whether the reply shows these versions of scopes, or later ones. Scopes that the reply does not depend
// on do not count.
func (r *Reply) Shows(versions []Dep) bool { return shows(r.Depends, versions) }

// ErrEnvelope: the bytes are no envelope of this version. Readers treat it as a miss.
var ErrEnvelope = errors.New("not an envelope")

const (
	magic      = "killr/1 "
	maxDepends = 1000 // no page shows the rows of more users
)

// Encode writes the envelope: a line with the format's version and the status, header lines, a blank line, the body.
// The last header line is the CRC-32C (Castagnoli) of all bytes but itself, in hexadecimal.
//
//	killr/1 200
//	Key: page.user.ansel
//	Content-Type: text/html; charset=utf-8
//	Max-Age: 600
//	Read-At: 1795463000123456
//	Depends: all=1 user.ansel=18
//	ETag: 3jx0c8v1k2m4
//	Length: 18211
//	Checksum: 0badcafe
//
//	<!doctype html>...
func (r *Reply) Encode() []byte {
	b := r.appendHead(make([]byte, 0, 320+32*len(r.Depends)+len(r.Body)))
	return append(b, r.Body...)
}

// EncodeTo is Encode into a buffer, which the caller may reuse.
func (r *Reply) EncodeTo(buf *bytes.Buffer) {
	buf.Write(r.appendHead(buf.AvailableBuffer()))
	buf.Write(r.Body)
}

// appendHead appends everything before the body.
func (r *Reply) appendHead(b []byte) []byte {
	start := len(b)
	b = append(b, magic...)
	b = strconv.AppendInt(b, int64(r.Status), 10)
	b = appendHeader(b, "Key", r.Key)
	b = appendHeader(b, "Content-Type", r.ContentType)
	b = appendHeader(b, "Content-Encoding", r.Encoding)
	b = append(b, "\nMax-Age: "...)
	b = strconv.AppendInt(b, int64(r.MaxAge/time.Second), 10)
	b = append(b, "\nRead-At: "...)
	b = strconv.AppendInt(b, r.ReadAt.UnixMicro(), 10)
	if len(r.Depends) > 0 {
		b = appendDeps(append(b, "\nDepends:"...), r.Depends)
	}
	b = appendHeader(b, "ETag", r.ETag)
	if r.Immutable {
		b = append(b, "\nImmutable: true"...)
	}
	b = append(b, "\nLength: "...)
	b = strconv.AppendInt(b, int64(len(r.Body)), 10)
	head := b[start:]
	b = appendChecksum(append(b, checksumLine...), head, r.Body)
	return append(b, "\n\n"...)
}

const (
	checksumLine   = "\nChecksum: "
	checksumDigits = 2 * crc32.Size
)

// castagnoli has the polynomial that processors compute.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendChecksum appends the CRC-32C of an envelope: of its head, up to the line with the sum, and its body.
func appendChecksum(b, head, body []byte) []byte {
	var sum [crc32.Size]byte
	binary.BigEndian.PutUint32(sum[:], crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, body))
	return hex.AppendEncode(b, sum[:])
}

func appendHeader(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(append(b, '\n'), name...)
	b = append(b, ": "...)
	for i := range len(value) { // a line break in a value would begin another header
		if c := value[i]; !control(c) {
			b = append(b, c)
		}
	}
	return b
}

func control(c byte) bool { return c < ' ' || c == 0x7f }

// DecodeReply decodes the envelope of the page with this key. The reply's Body aliases data. Unknown headers are
// ignored, so that a newer renderer may add some. Anything else unexpected, such as another page's key, a wrong
// checksum or a compressed body that says it is larger than MaxUnpacked, is an error that wraps ErrEnvelope.
func DecodeReply(key string, data []byte) (*Reply, error) {
	end := bytes.Index(data, []byte("\n\n"))
	if end < 0 || !bytes.HasPrefix(data, []byte(magic)) {
		return nil, fmt.Errorf("%w: it does not begin with %q and a header block", ErrEnvelope, magic)
	}
	body := data[end+2:]
	last := bytes.LastIndexByte(data[:end], '\n')
	stated, ok := bytes.CutPrefix(data[max(last, 0):end], []byte(checksumLine))
	if !ok {
		return nil, fmt.Errorf("%w: its header does not end with a checksum", ErrEnvelope)
	}
	var sum [checksumDigits]byte
	if !bytes.Equal(stated, appendChecksum(sum[:0], data[:last], body)) {
		return nil, fmt.Errorf("%w: its checksum is not %q", ErrEnvelope, stated)
	}
	head := string(data[len(magic):last]) // one allocation: all header values are parts of it
	r := &Reply{Body: body}
	status, head, _ := strings.Cut(head, "\n")
	length := -1
	var err error
	if r.Status, err = strconv.Atoi(status); err != nil || r.Status < 100 || r.Status > 999 {
		return nil, fmt.Errorf("%w: status %q", ErrEnvelope, status)
	}
	for head != "" {
		var line string
		line, head, _ = strings.Cut(head, "\n")
		name, value, ok := strings.Cut(line, ": ")
		for i := 0; ok && i < len(value); i++ {
			ok = !control(value[i])
		}
		if !ok {
			return nil, fmt.Errorf("%w: header line %q", ErrEnvelope, line)
		}
		if name == "Length" {
			length, err = strconv.Atoi(value)
		} else {
			err = r.setHeader(name, value)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: header %s: %w", ErrEnvelope, name, err)
		}
	}
	if r.Key != key {
		return nil, fmt.Errorf("%w: it is of %q, not of %q", ErrEnvelope, r.Key, key)
	}
	if length != len(r.Body) {
		return nil, fmt.Errorf("%w: the body has %d bytes, not its length %d", ErrEnvelope, len(r.Body), length)
	}
	if r.Encoding == EncodingGzip {
		if _, err := UnpackedSize(r.Body); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *Reply) setHeader(name, value string) (err error) {
	switch name {
	case "Key":
		r.Key = value
	case "Content-Type":
		r.ContentType = value
	case "Content-Encoding":
		r.Encoding = value
	case "ETag":
		r.ETag = value
	case "Immutable":
		r.Immutable = value == "true"
	case "Max-Age":
		var seconds int64
		seconds, err = strconv.ParseInt(value, 10, 32)
		r.MaxAge = time.Duration(seconds) * time.Second
	case "Read-At":
		var us int64
		us, err = strconv.ParseInt(value, 10, 64)
		r.ReadAt = time.UnixMicro(us)
	case "Depends":
		r.Depends, err = ParseDeps(value)
	}
	return err
}

// FormatDeps writes dependencies as in envelopes, fill notes and read-your-writes tokens, each after a space: " all=1
// user.ansel=18".
func FormatDeps(deps []Dep) string { return string(appendDeps(nil, deps)) }

func appendDeps(b []byte, deps []Dep) []byte {
	for _, d := range deps {
		b = append(append(append(b, ' '), d.Scope...), '=')
		b = strconv.AppendInt(b, d.Version, 10)
	}
	return b
}

// ParseDeps is the inverse of [FormatDeps], whose first space may be missing.
func ParseDeps(value string) ([]Dep, error) {
	value = strings.TrimPrefix(value, " ")
	n := strings.Count(value, " ") + 1
	if n > maxDepends {
		return nil, fmt.Errorf("more than %d scopes", maxDepends)
	}
	deps := make([]Dep, 0, n)
	for part := range strings.SplitSeq(value, " ") {
		scope, digits, ok := strings.Cut(part, "=")
		version, err := strconv.ParseInt(digits, 10, 64)
		if !ok || err != nil || !validScope(scope) {
			return nil, fmt.Errorf("dependency %q", part)
		}
		deps = append(deps, Dep{scope, version})
	}
	return deps, nil
}

// validScope reports whether a scope is printable ASCII without space and "=", so that it can stand unescaped in
// envelopes and notices.
func validScope(scope string) bool {
	for i := range len(scope) {
		if c := scope[i]; c <= ' ' || c >= 0x7f || c == '=' {
			return false
		}
	}
	return scope != ""
}
