package renderer

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"

	"flickrkillr/renderer/pictures"
	"flickrkillr/schema/wire"
)

// maxSharedForms is how many forms for others are remembered. Each takes about 1 KiB, at most 256 KiB.
const maxSharedForms = 256

// sharedLabel keeps the secret of these names apart from all else that follows from the site's key. Another way to make
// the form needs another label: a name is that of some bytes.
const sharedLabel = "killr shared originals 2"

// sharedForms remembers which parts of originals others get, so that not each chunk has the whole file read.
type sharedForms struct {
	secret []byte // valid once setKey has returned

	mu    sync.Mutex
	known map[string]*pictures.Shared // nil: there is no such form
	// making is held by the one worker that reads a whole original, which takes up to 50 MiB.
	making sync.Mutex
}

func newSharedForms() *sharedForms { return &sharedForms{known: map[string]*pictures.Shared{}} }

// setKey derives the secret from the site's key, before the first request.
func (s *sharedForms) setKey(siteKey []byte) (err error) {
	if s.secret, err = hkdf.Key(sha256.New, siteKey, nil, sharedLabel, sha256.Size); err != nil {
		err = fmt.Errorf("names of shared originals: %w", err)
	}
	return err
}

// name names the bytes of the form for others. The id of the original is a hash of all that its file says, by which
// somebody could find out what the form leaves out.
func (s *sharedForms) name(id string) string {
	mac := hmac.New(sha256.New, s.secret)
	_, _ = io.WriteString(mac, id)
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

func (s *sharedForms) get(id string) (form *pictures.Shared, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	form, known = s.known[id]
	return form, known
}

// of returns the form for others of an original. One that cannot be made is a wire.ErrNotFound. While another form is
// made it returns wire.ErrBusy, so that the other workers are there for those who wait for no form.
func (s *sharedForms) of(id string, original *pictures.Original) (*pictures.Shared, error) {
	form, known := s.get(id)
	if !known {
		if !s.making.TryLock() {
			return nil, fmt.Errorf("%w: another original is prepared", wire.ErrBusy)
		}
		defer s.making.Unlock()
		if form, known = s.get(id); !known {
			var err error
			if form, err = s.make(id, original); err != nil {
				return nil, err
			}
		}
	}
	if form == nil {
		return nil, fmt.Errorf("%w: %w", wire.ErrNotFound, pictures.ErrNotShared)
	}
	return form, nil
}

// make makes the form of an original and remembers it, or that there is none.
func (s *sharedForms) make(id string, original *pictures.Original) (*pictures.Shared, error) {
	data := make([]byte, original.Size)
	if n, err := original.ReadAt(data, 0); n < len(data) {
		return nil, fmt.Errorf("read an original: %w", err)
	}
	form, err := pictures.Share(data)
	if err != nil && !errors.Is(err, pictures.ErrNotShared) {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) == maxSharedForms { // seldom: it is as good as any to begin anew
		clear(s.known)
	}
	s.known[id] = form
	return form, nil
}
