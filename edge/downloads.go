package edge

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/edge/download"
	"flickrkillr/edge/session"
	"flickrkillr/schema/page"
	"flickrkillr/schema/payload"
	"flickrkillr/schema/wire"
)

// Bounds of downloads. Each has 1 MiB in memory, see package download.
const (
	mostOwnDownloads = 64 // at once, at an edge, of what people have themselves
	mostDownloads    = 32 // of what others have
	eachDownloads    = 6  // of one person or address
	downloadTurn     = time.Minute

	chunkLimit   = 30 * time.Second // for a chunk, in all attempts: then the download is cut
	chunkAttempt = 5 * time.Second
)

// Why a download is cut: its session has ended meanwhile, or the edge stops.
var (
	errSessionEnded = errors.New("the session has ended")
	errStopping     = errors.New("the edge stops")
)

// downloader is who downloads something.
type downloader struct {
	user    int64       // 0: anybody
	allowed func() bool // whether the session still counts
	slot    string      // for what the download counts, see download.Slots
}

// original answers a request for an original. If it returns an error it has written nothing.
func (s *Server) original(w http.ResponseWriter, r *http.Request, x *exchange, photo int64, own bool) error {
	return s.download(w, r, x, own, func(who downloader) (sentFile, error) {
		data, done, err := s.askOriginal(r.Context(), x, wire.OriginalSubject(wire.OriginalHead, who.user, photo), nil)
		if err != nil {
			return sentFile{}, err
		}
		defer done()
		file, err := wire.DecodeOriginalFile(data)
		if err != nil {
			return sentFile{}, err
		}
		return sentFile{name: file.Name, kind: file.Type, tag: file.File, File: download.File{Size: file.Bytes,
			From: func(_ context.Context, offset, end int64) iter.Seq2[download.Piece, error] {
				return s.chunksOf(x, who, originalBytes{photo, file.File}, offset, end)
			}}}, nil
	})
}

// originalBytes names the bytes of an original.
type originalBytes struct {
	photo int64
	file  string
}

// chunksOf are the pieces of an original from a place to another.
func (s *Server) chunksOf(x *exchange, who downloader, of originalBytes, offset, end int64,
) iter.Seq2[download.Piece, error] {
	return func(yield func(download.Piece, error) bool) {
		for ; offset < end; offset += wire.MaxChunk {
			at, size := offset, min(wire.MaxChunk, end-offset)
			fetch := func(ctx context.Context) (data []byte, done func(), err error) {
				if !who.allowed() {
					return nil, nil, errSessionEnded
				}
				return s.askOriginal(ctx, x, wire.OriginalSubject(wire.OriginalChunk, who.user, of.photo),
					nats.Header{wire.HeaderFile: {of.file}, wire.HeaderOffset: {strconv.FormatInt(at, 10)},
						wire.HeaderLength: {strconv.FormatInt(size, 10)}})
			}
			if !yield(download.Piece{Size: int(size), Fetch: fetch}, nil) {
				return
			}
		}
	}
}

// askOriginal makes a request about an original, by the connection that uploads have. The caller calls done when it
// needs data no more.
func (s *Server) askOriginal(ctx context.Context, x *exchange, subject string, header nats.Header,
) (data []byte, done func(), err error) {
	if header == nil {
		header = nats.Header{}
	}
	mark(header, x.number, x.trace)
	ctx, stop := context.WithTimeout(ctx, chunkLimit)
	defer stop()
	for range 2 { // once more if this process stood still meanwhile, and has dropped the bytes
		reply, err := s.uploadBus.persist(ctx, &nats.Msg{Subject: subject, Header: header},
			persistence{limit: chunkLimit, attempt: chunkAttempt, unheard: uploadUnheard})
		if err == nil {
			err = wire.ErrorOf(reply)
		}
		if err != nil {
			return nil, nil, err
		}
		if data, done, err = payload.Of(s.cfg.Uploads).Take(reply); !errors.Is(err, payload.ErrLate) {
			break
		}
	}
	return data, done, err
}

// sentFile is a file that is sent to a visitor.
type sentFile struct {
	download.File
	name, kind string // on the visitor's disk; media type
	tag        string // names the bytes
}

// download sends the file that find finds. own: only to somebody who is signed in. If it returns an error it has
// written nothing.
func (s *Server) download(
	w http.ResponseWriter, r *http.Request, x *exchange, own bool, find func(downloader) (sentFile, error),
) error {
	_, isToken := session.Bearer(r.Header)
	err := s.tryDownload(w, r, x, own, find)
	if err == nil || x.status != 0 || !isToken || !own {
		return err
	}
	answer, ok := errors.AsType[*refusal](err)
	if !ok {
		answer = &refusal{status: statusOf(err), Code: wire.Code(err), Problem: http.StatusText(statusOf(err))}
		x.cause = err
	}
	return s.sendRefusal(w, r, x, answer)
}

func (s *Server) tryDownload(
	w http.ResponseWriter, r *http.Request, x *exchange, own bool, find func(downloader) (sentFile, error),
) error {
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return errMethod
	case hasBody(r):
		return errBody
	}
	slots, who := s.slots, downloader{allowed: func() bool { return true }, slot: s.addressSlot(r)}
	if own {
		user, err := s.owner(w, r)
		if errors.Is(err, errSignedOut) {
			s.seeOther(w, x, signInPath(r.URL.EscapedPath(), false))
			return nil
		}
		if err != nil {
			return err
		}
		slots = s.ownSlots
		who = downloader{user: user, allowed: s.stillSignedIn(r), slot: "user " + strconv.FormatInt(user, 10)}
	}
	ctx, release, ok := slots.Take(r.Context(), who.slot)
	if !ok {
		return fmt.Errorf("%w: too many downloads at once", wire.ErrBusy)
	}
	defer release()
	ctx, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	defer context.AfterFunc(s.downloading, func() { cut(errStopping) })()
	if s.downloading.Err() != nil {
		return fmt.Errorf("%w: %w", wire.ErrBusy, errStopping)
	}
	file, err := find(who)
	if err != nil {
		return err
	}
	s.sendFile(ctx, w, r, x, file)
	return nil
}

// owner is who is signed in, with a browser or by a token.
func (s *Server) owner(w http.ResponseWriter, r *http.Request) (user int64, err error) {
	if token, ok := session.Bearer(r.Header); ok {
		found, err := s.sessions.FindToken(r.Context(), token)
		if errors.Is(err, session.ErrNone) {
			err = errToken
		}
		if err != nil {
			return 0, err
		}
		return found.User, nil
	}
	who, err := s.visitor(w, r)
	if err == nil && who.Session == nil {
		err = errSignedOut
	}
	if err != nil {
		return 0, err
	}
	return who.User, nil
}

// addressSlot is for what a visitor counts who is not signed in; "" where all visitors come from one address.
func (s *Server) addressSlot(r *http.Request) string {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || s.cfg.AddressGuesses < 0 {
		return ""
	}
	return "address " + network(from.Addr()).String()
}

// disposition is the value of Content-Disposition for a file (RFC 6266): its name as it is, and one of ASCII for
// programs that know no other.
func disposition(name string) string {
	plain := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' || r == '%' {
			return '_'
		}
		return r
	}, name)
	const attrChars = "!#$&+-.^_`|~" // RFC 8187, besides letters and digits
	var b strings.Builder
	for _, c := range []byte(name) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if letter || c >= '0' && c <= '9' || strings.IndexByte(attrChars, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return `attachment; filename="` + plain + `"; filename*=UTF-8''` + b.String()
}

// isDownload finds out what a path has to download.
func (s *Server) isDownload(path string) (
	answer func(w http.ResponseWriter, r *http.Request, x *exchange) error, ok bool,
) {
	if photo, own, ok := page.ParseOriginal(path); ok {
		return func(w http.ResponseWriter, r *http.Request, x *exchange) error {
			return s.original(w, r, x, photo, own)
		}, true
	}
	if id, ok := page.ParseTakeout(path); ok {
		return func(w http.ResponseWriter, r *http.Request, x *exchange) error {
			return s.takeout(w, r, x, id)
		}, true
	}
	return nil, false
}
