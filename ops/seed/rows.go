package seed

import (
	"encoding/binary"
	"math"
)

// rows encodes rows in the binary format of COPY: for each row the number of fields, for each field its length and its
// bytes, all big-endian (PostgreSQL manual, "COPY", "Binary Format").
type rows struct {
	b     []byte
	n     int64 // Rows written.
	field int   // Where the length of the text field in work stands.
}

const copyHeader = "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"

const copyTrailer = "\xff\xff"

func (r *rows) begin(fields int16) {
	r.b = binary.BigEndian.AppendUint16(r.b, uint16(fields))
	r.n++
}

func (r *rows) bigint(v int64) {
	r.b = append(r.b, 0, 0, 0, 8)
	r.b = binary.BigEndian.AppendUint64(r.b, uint64(v))
}

func (r *rows) integer(v int32) {
	r.b = append(r.b, 0, 0, 0, 4)
	r.b = binary.BigEndian.AppendUint32(r.b, uint32(v))
}

// integerOrNull, realOrNull and textOrNull write null for zero values.
func (r *rows) integerOrNull(v int32) {
	if v == 0 {
		r.null()
		return
	}
	r.integer(v)
}

func (r *rows) realOrNull(v float32) {
	if v == 0 {
		r.null()
		return
	}
	r.integer(int32(math.Float32bits(v)))
}

func (r *rows) textOrNull(s string) {
	if s == "" {
		r.null()
		return
	}
	r.text(s)
}

func (r *rows) null() { r.b = append(r.b, 0xff, 0xff, 0xff, 0xff) }

func (r *rows) boolean(v bool) {
	r.b = append(r.b, 0, 0, 0, 1, 0)
	if v {
		r.b[len(r.b)-1] = 1
	}
}

func (r *rows) text(s string) {
	r.b = binary.BigEndian.AppendUint32(r.b, uint32(len(s)))
	r.b = append(r.b, s...)
}

// open begins a text that is appended to r.b; close ends it.
func (r *rows) open() {
	r.field = len(r.b)
	r.b = append(r.b, 0, 0, 0, 0)
}

func (r *rows) close(limit int) []byte {
	text := cut(r.b[r.field+4:], limit)
	r.b = r.b[:r.field+4+len(text)]
	binary.BigEndian.PutUint32(r.b[r.field:], uint32(len(text)))
	return text
}
