package upload

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/wire"
)

// Ask makes a request of any renderer until one answers, for at most limit; after attempt without an answer it asks
// again. Errors of the renderer that another one would not do better about are in the reply.
type Ask func(ctx context.Context, msg *nats.Msg, limit, attempt time.Duration) (*nats.Msg, error)

// How long requests may take, and each attempt of one.
const (
	requestLimit   = wire.ActionDeadline
	requestAttempt = 5 * time.Second
	chunkLimit     = 30 * time.Second // without a renderer, senders wait
	chunkAttempt   = 2 * time.Second  // storing a chunk takes a few ms
	finishLimit    = 30 * time.Second
	finishAttempt  = 15 * time.Second // a repeated one waits behind the first
)

// upload names an upload. The user is part of each subject, so nobody reaches the uploads of another.
type upload struct {
	user int64
	id   string
}

// done is an upload that has become a photo.
type done struct {
	photo     int64
	duplicate bool
	changed   []wire.Change // the scopes that the photo has changed
}

// ids are the letters of an upload's id.
var ids = base32.StdEncoding.WithPadding(base32.NoPadding)

const idLength = 26

// newID returns the id of a new upload: that of an earlier attempt if both name the same parts, such as a key.
func newID(parts ...string) string {
	if len(parts) == 0 {
		return strings.ToLower(rand.Text())
	}
	hash := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(hash, "%d %s ", len(part), part)
	}
	return strings.ToLower(ids.EncodeToString(hash.Sum(nil))[:idLength])
}

// request asks a renderer about an upload. Errors wrap those of package wire, or are a [*wire.InputError].
func (s *Service) request(
	ctx context.Context, verb string, up upload, header nats.Header, data []byte, limit, attempt time.Duration,
) (*nats.Msg, error) {
	msg := &nats.Msg{Subject: wire.UploadSubject(verb, up.user, up.id), Header: header, Data: data}
	reply, err := s.ask(ctx, msg, limit, attempt)
	if err == nil {
		err = wire.ErrorOf(reply)
	}
	if err != nil {
		return nil, fmt.Errorf("%s an upload: %w", verb, err)
	}
	return reply, nil
}

func (s *Service) create(ctx context.Context, up upload, file wire.UploadFile) error {
	data, err := file.Encode()
	if err == nil {
		_, err = s.request(ctx, wire.UploadCreate, up, nats.Header{}, data, requestLimit, requestAttempt)
	}
	return err
}

// chunk has a renderer store a chunk, when fewer than chunksOnBus others of this edge are on their way. One that is not
// the last of its file makes way for visitors: behind the last one somebody waits for a photo.
func (s *Service) chunk(ctx context.Context, up upload, at int64, data []byte, last bool) error {
	waiting, cancel := context.WithTimeoutCause(ctx, bufferWait, errCrowded)
	defer cancel()
	if !last {
		done, err := s.visitors.makeWay(waiting)
		if err != nil {
			return err
		}
		defer done()
	}
	select {
	case s.onBus <- struct{}{}:
		defer func() { <-s.onBus }()
	case <-waiting.Done():
		return context.Cause(waiting)
	}
	header := nats.Header{wire.HeaderOffset: {strconv.FormatInt(at, 10)}}
	_, err := s.request(ctx, wire.UploadChunk, up, header, data, chunkLimit, chunkAttempt)
	return err
}

func (s *Service) state(ctx context.Context, up upload) (wire.UploadStatus, error) {
	reply, err := s.request(ctx, wire.UploadState, up, nats.Header{}, nil, requestLimit, requestAttempt)
	if err != nil {
		return wire.UploadStatus{}, err
	}
	return wire.DecodeUpload[wire.UploadStatus](reply.Data)
}

func (s *Service) cancel(ctx context.Context, up upload) error {
	s.tails.drop(up)
	_, err := s.request(ctx, wire.UploadCancel, up, nats.Header{}, nil, requestLimit, requestAttempt)
	return err
}

// finish makes the photo. Asked again it returns the same.
func (s *Service) finish(ctx context.Context, up upload, size int64) (done, error) {
	s.tails.drop(up)
	reply, err := s.request(ctx, wire.UploadFinish, up, nats.Header{}, strconv.AppendInt(nil, size, 10), finishLimit,
		finishAttempt)
	if err != nil {
		return done{}, err
	}
	d := done{duplicate: reply.Header.Get(wire.HeaderDuplicate) != ""}
	if d.photo, err = strconv.ParseInt(reply.Header.Get(wire.HeaderPhoto), 10, 64); err == nil {
		d.changed, err = wire.ChangedBy(reply)
	}
	if err != nil || d.photo <= 0 {
		return done{}, fmt.Errorf("the reply to finish an upload: %w",
			errors.Join(err, wire.ErrInternal))
	}
	return d, nil
}
