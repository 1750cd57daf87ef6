package upload

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode"

	"flickrkillr/schema/wire"
)

// Refusal is an answer that says why a request is not done.
type Refusal struct {
	Status  int    // of HTTP
	Code    string // for programs
	Problem string // for people, in whole sentences
}

func (e *Refusal) Error() string { return e.Code + ": " + e.Problem }

func refuse(status int, code, format string, args ...any) error {
	return &Refusal{Status: status, Code: code, Problem: fmt.Sprintf(format, args...)}
}

func badRequest(format string, args ...any) error {
	return refuse(http.StatusBadRequest, "bad_request", format, args...)
}

var (
	errNone   = refuse(http.StatusNotFound, "not_found", "there is no such upload")
	errOffset = refuse(http.StatusConflict, "offset", "the body begins elsewhere than what is stored ends")
	errType   = refuse(http.StatusUnsupportedMediaType, "type", "say Content-Type: "+typeOffset)
	errMany   = refuse(http.StatusTooManyRequests, "too_many", "at most %d uploads at once: send others later", atOnce)
	errEnded  = refuse(http.StatusUnauthorized, "signed_out", "your session has ended: sign in again")
	errEmpty  = refuse(http.StatusUnprocessableEntity, "refused", "the file is empty")
)

const typeOffset = "application/offset+octet-stream"

// RefusalOf is how an error of this package is answered.
func RefusalOf(err error) *Refusal {
	refusal := refusalOf(err)
	problem := []rune(refusal.Problem)
	problem[0] = unicode.ToUpper(problem[0])
	return &Refusal{refusal.Status, refusal.Code, strings.TrimSuffix(string(problem), ".") + "."}
}

func refusalOf(err error) *Refusal {
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		return refusal
	}
	if input, ok := errors.AsType[*wire.InputError](err); ok {
		problem := input.Problem // of a file: whole sentences
		if input.Field != "file" {
			problem = input.Error()
		}
		return &Refusal{http.StatusUnprocessableEntity, "refused", problem}
	}
	for _, known := range []struct {
		err    error
		status int
		code   string
	}{
		{errSize, http.StatusRequestEntityTooLarge, "too_large"},
		{errLonger, http.StatusRequestEntityTooLarge, "longer"},
		{errSlow, http.StatusRequestTimeout, "slow"}, {errBroken, http.StatusBadRequest, "broken"},
		{wire.ErrNotFound, http.StatusNotFound, "not_found"}, {wire.ErrConflict, http.StatusConflict, "offset"},
	} {
		if errors.Is(err, known.err) {
			return &Refusal{known.status, known.code, known.err.Error()}
		}
	}
	status := wire.Status(err)
	return &Refusal{status, wire.Code(err), http.StatusText(status)}
}

// single returns the only value of a header field; "" if it is missing.
func single(h http.Header, name string) (string, error) {
	switch values := h.Values(name); len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], nil
	}
	return "", badRequest("%s comes twice", name)
}

// number returns the value of a header field that is a number of bytes; -1 if it is missing.
func number(h http.Header, name string) (int64, error) {
	text, err := single(h, name)
	if err != nil || text == "" {
		return -1, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != text {
		return 0, badRequest("%s is %.40q, and no number of bytes", name, text)
	}
	return n, nil
}

// announced returns the length of a new upload; -1: it is told later.
func announced(h http.Header) (int64, error) {
	size, err := number(h, "Upload-Length")
	if err != nil {
		return 0, err
	}
	later, err := single(h, "Upload-Defer-Length")
	switch {
	case err != nil:
		return 0, err
	case later != "" && later != "1", (later == "1") == (size >= 0):
		return 0, badRequest("say either Upload-Length or Upload-Defer-Length: 1")
	case size == 0:
		return 0, errEmpty
	case size > wire.MaxUpload:
		return 0, errSize
	}
	return size, nil
}

func hasOffsetType(h http.Header) bool {
	kind, err := single(h, "Content-Type")
	if err != nil {
		return false
	}
	kind, _, err = mime.ParseMediaType(kind)
	return err == nil && kind == typeOffset
}
