package edge

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/edge/session"
	"flickrkillr/edge/upload"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// uploadUnheard is for how long a request about an upload is made again while no renderer listens. Its sender waits; a
// request that fails has the sender send again what was under way.
const uploadUnheard = 10 * time.Second

var (
	errSignedOut = &refusal{http.StatusUnauthorized, "signed_out", "sign in first", `Bearer realm="Flickr Killr"`}
	errOtherSite = &refusal{http.StatusForbidden, "cross_origin", "no page of this site has sent this", ""}
)

// askUpload makes a request about an upload.
func (s *Server) askUpload(ctx context.Context, msg *nats.Msg, limit, attempt time.Duration) (*nats.Msg, error) {
	return s.uploadBus.persist(ctx, ofGuest(ctx, msg),
		persistence{limit: limit, attempt: attempt, unheard: uploadUnheard})
}

// isUpload reports whether a path is one for files, or for what happens to them.
func isUpload(path string) bool {
	return path == page.PathUploadEvents || path == page.PathUploadFiles ||
		strings.HasPrefix(path, page.PathUploadFiles+"/")
}

// uploads answers requests about uploads. Refusals are JSON.
func (s *Server) uploads(w http.ResponseWriter, r *http.Request, x *exchange) error {
	return s.orRefusal(w, r, x, s.tryUploads(w, r, x))
}

// orRefusal answers with what an error about uploads says, unless an answer was sent.
func (s *Server) orRefusal(w http.ResponseWriter, r *http.Request, x *exchange, err error) error {
	if err == nil || x.status != 0 {
		return err
	}
	answer, ok := errors.AsType[*refusal](err)
	if errors.Is(err, errCrossOrigin) {
		answer, ok = errOtherSite, true
	}
	if !ok {
		why := upload.RefusalOf(err)
		answer = &refusal{status: why.Status, Code: why.Code, Problem: why.Problem}
		x.cause = err
	}
	answerSoon(w)
	return s.sendRefusal(w, r, x, answer)
}

func (s *Server) tryUploads(w http.ResponseWriter, r *http.Request, x *exchange) error {
	if done, err := s.describeUpload(w, r, x); done {
		return err
	}
	who, err := s.uploader(w, r)
	if err != nil {
		return err
	}
	if r.URL.EscapedPath() == page.PathUploadEvents {
		return s.uploadEvents(w, r, x, who)
	}
	answer, err := s.files.Tus(w.Header(), s.uploadRequest(w, r, who))
	if err != nil {
		return err
	}
	s.setFresh(w, r, answer.Changed)
	return s.answerUpload(w, r, x, answer)
}

// describeUpload answers requests about files that need no sender, or can be nobody's.
func (s *Server) describeUpload(w http.ResponseWriter, r *http.Request, x *exchange) (done bool, err error) {
	if r.Method == http.MethodOptions {
		return true, s.answerUpload(w, r, x, upload.Describe(w.Header()))
	}
	if (r.Method == http.MethodGet || r.Method == http.MethodHead) && hasBody(r) {
		return true, &refusal{status: http.StatusBadRequest, Code: "bad_request", Problem: "no body belongs here"}
	}
	return false, nil
}

// uploader is who sends a request about uploads: a person who is signed in, or a program with a token that may write.
func (s *Server) uploader(w http.ResponseWriter, r *http.Request) (visitor, error) {
	if token, ok := session.Bearer(r.Header); ok {
		found, err := s.sessions.FindToken(r.Context(), token)
		switch {
		case errors.Is(err, session.ErrNone):
			return visitor{}, errToken
		case err != nil:
			return visitor{}, err
		case found.Unverified:
			return visitor{}, wire.ErrUnavailable
		case !found.Write:
			return visitor{}, errTokenReads
		}
		return visitor{Visitor: found}, nil
	}
	who, err := s.visitor(w, r)
	if err == nil {
		err = s.checkOrigin(r, (who.Session != nil || who.planted) && r.Method != http.MethodGet &&
			r.Method != http.MethodHead)
	}
	switch {
	case err != nil:
		return who, err
	case who.Session == nil:
		return who, errSignedOut
	case who.Unverified:
		return who, wire.ErrUnavailable
	}
	return who, nil
}

func (s *Server) uploadRequest(w http.ResponseWriter, r *http.Request, who visitor) upload.Request {
	return upload.Request{Request: r, User: who.User, Allowed: s.stillSignedIn(r),
		Deadline: http.NewResponseController(w).SetReadDeadline}
}

// answerUpload sends what upload answers.
func (s *Server) answerUpload(w http.ResponseWriter, r *http.Request, x *exchange, answer upload.Answer) error {
	answerSoon(w)
	if answer.JSON != nil {
		return s.sendJSON(w, r, x, answer.JSON, answer.Status)
	}
	h := w.Header()
	x.status = answer.Status
	x.writeHeaders(h)
	s.secureFields(h)
	w.WriteHeader(x.status)
	return nil
}

// answerSoon gives an answer the usual time, however long the body before it took. net/http reads the rest of a short
// body before it answers; a sender who is silent must not keep it from that.
func answerSoon(w http.ResponseWriter) {
	conn := http.NewResponseController(w)
	_ = conn.SetReadDeadline(time.Now().Add(restTimeout))
	_ = conn.SetWriteDeadline(time.Now().Add(writeTimeout)) // else writing says so
}

// restTimeout is for how long net/http waits for the rest of a body that nobody wants.
const restTimeout = 2 * time.Second

// submitFiles takes the files of a form, and shows what became of each.
func (s *Server) submitFiles(w http.ResponseWriter, r *http.Request, x *exchange, who visitor) error {
	form, err := s.files.ReadForm(s.uploadRequest(w, r, who), checkKey)
	s.setFresh(w, r, form.Changed)
	status, problems, err := outcomeOfForm(form, err)
	if err != nil {
		return err
	}
	ask := wire.PrivateRequest{Uploads: form.Lines, Problems: problems}
	answerSoon(w)
	ask.Key = rand.Text()
	r = r.WithContext(context.WithoutCancel(r.Context()))
	return s.show(w, r, x, page.PrivateUpload, who, ask, status)
}

// statusOfLines is the status of the page with these lines: 422 if none of them has a photo.
func statusOfLines(lines []wire.UploadLine) int {
	for _, line := range lines {
		if line.Photo > 0 {
			return http.StatusOK
		}
	}
	return http.StatusUnprocessableEntity
}
