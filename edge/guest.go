package edge

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"flickrkillr/edge/upload"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// Guests add photos by a link. They upload as people do, with the link in the place of a session: each request about
// their uploads has it, and a renderer checks it each time.

// Bounds of the files that guests begin to send in a minute, at all edges together.
const (
	guestFilesOfAddress = 120 // of one address, at all links
	guestFilesOfLink    = 600 // of one link, where addresses are not counted
)

// errGuestFiles refuses a file of a guest who has begun to send too many.
var errGuestFiles = &upload.Refusal{Status: http.StatusTooManyRequests, Code: "too_many",
	Problem: "Too many files at once. Try again in a minute."}

// guestFiles answers requests about files of guests. Refusals are JSON.
func (s *Server) guestFiles(w http.ResponseWriter, r *http.Request, x *exchange, share page.Share) error {
	return s.orRefusal(w, r, x, s.tryGuestFiles(w, r, x, share))
}

func (s *Server) tryGuestFiles(w http.ResponseWriter, r *http.Request, x *exchange, share page.Share) error {
	h := w.Header()
	h["Referrer-Policy"], h["X-Robots-Tag"] = referrerShare, robotsShare
	if done, err := s.describeUpload(w, r, x); done {
		return err
	}
	request, err := s.guest(w, r, x, share)
	if err != nil {
		return err
	}
	answer, err := s.files.Tus(h, request)
	if err != nil {
		return err
	}
	return s.answerUpload(w, r, x, answer)
}

// addByForm takes the files of a form by a link, and shows what became of each.
func (s *Server) addByForm(w http.ResponseWriter, r *http.Request, x *exchange, share page.Share) error {
	request, err := s.guest(w, r, x, share)
	ask := wire.ShareRequest{Add: true, Key: rand.Text()}
	if _, refused := errors.AsType[*wire.InputError](err); refused {
		// The page asks for the password, or is not there.
		return s.showShare(w, r, x, share, ask, http.StatusForbidden)
	}
	if err != nil {
		return err
	}
	form, err := s.files.ReadForm(request, checkKey)
	ask.Guest, ask.Uploads = form.Guest, form.Lines
	status, problems, err := outcomeOfForm(form, err)
	if err != nil {
		return err
	}
	ask.Problems = problems
	answerSoon(w)
	return s.showShare(w, r.WithContext(context.WithoutCancel(r.Context())), x, share, ask, status)
}

// guestHeader is the key of a context that has the header fields of a guest's requests about uploads.
type guestHeader struct{}

// guest is the request of a visitor about photos that are added by a link. It returns a [*wire.InputError] if the link
// lets nobody add any, or its password was not given.
func (s *Server) guest(w http.ResponseWriter, r *http.Request, x *exchange, share page.Share) (upload.Request, error) {
	share = page.Share{Token: share.Token}
	header := s.shareHeader(r, x, share)
	write := r.Method != http.MethodGet && r.Method != http.MethodHead
	if err := s.checkOrigin(r, write && len(header[wire.HeaderGrant]) > 0); err != nil {
		return upload.Request{}, err
	}
	reply, err := s.askShare(r, x, share, wire.ShareRequest{Exists: true, Add: true})
	if err != nil {
		return upload.Request{}, err
	}
	owner, err := strconv.ParseInt(reply.Header.Get(wire.HeaderUser), 10, 64)
	if err != nil || owner <= 0 {
		return upload.Request{}, wire.ErrInternal
	}
	bound, err := guestBound(share, r.RemoteAddr, s.cfg.AddressGuesses)
	if err != nil {
		return upload.Request{}, err
	}
	// Each request has its own.
	for _, ofRequest := range []string{wire.HeaderRequest, wire.HeaderTrace, wire.HeaderDeadline} {
		header.Del(ofRequest)
	}
	begin := func(ctx context.Context) error {
		wait, err := s.takeGuesses(ctx, []guessBound{bound})
		if wait > 0 {
			return errGuestFiles
		}
		return err
	}
	return upload.Request{Request: r.WithContext(context.WithValue(r.Context(), guestHeader{}, header)), User: owner,
		Deadline: http.NewResponseController(w).SetReadDeadline,
		Guest:    &upload.Guest{Link: share, Sender: senderOf(share, bound.what), Begin: begin}}, nil
}

// ofGuest adds to a request about an upload by which link its guest comes, if a guest sends it.
func ofGuest(ctx context.Context, msg *nats.Msg) *nats.Msg {
	if header, ok := ctx.Value(guestHeader{}).(nats.Header); ok {
		for name, values := range header {
			msg.Header[name] = values
		}
	}
	return msg
}

// guestBound is what a file of a guest counts for. remoteAddr and addressLimit are as in guessBounds.
func guestBound(share page.Share, remoteAddr string, addressLimit int) (guessBound, error) {
	if addressLimit <= 0 {
		return guessBound{"guest share " + share.ID(), guestFilesOfLink}, nil
	}
	bounds, err := addressBound(nil, remoteAddr, addressLimit)
	if err != nil {
		return guessBound{}, err
	}
	return guessBound{"guest " + bounds[0].what, guestFilesOfAddress}, nil
}

// senderOf tells the guests of a link apart by what their files count for.
func senderOf(share page.Share, what string) int64 {
	sum := sha256.Sum256([]byte(share.ID() + " " + what))
	return -int64(cmp.Or(binary.BigEndian.Uint64(sum[:8])>>1, 1))
}

// outcomeOfForm is the status of the page that shows what became of the files of a form, and what is wrong with the
// form.
func outcomeOfForm(form upload.Form, err error) (status int, problems map[string]string, _ error) {
	if err != nil {
		why, ok := errors.AsType[*upload.Refusal](err)
		if !ok {
			return 0, nil, err
		}
		return why.Status, map[string]string{"form": strings.TrimSuffix(upload.RefusalOf(why).Problem, ".")}, nil
	}
	if len(form.Lines) == 0 {
		problems = map[string]string{"file": "has no file: choose at least one"}
	}
	return statusOfLines(form.Lines), problems, nil
}
