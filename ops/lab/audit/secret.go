package audit

import (
	"encoding/binary"
	"slices"
	"sync"
)

// secret is a text that only one person may see, or nobody.
type secret struct {
	text  string
	what  string
	owner *member // who may see it; nil: nobody may, as a password
	// The bus may carry it: the names of scopes have the names of users.
	onBus bool
}

// secrets finds in answers what their visitors may not see. It is safe for concurrent use.
//
// The search is cheap because every secret has at least 15 bytes: wherever a text has one, it has a whole word of 8
// bytes of it at a place divisible by 8. So only those words of a text are looked up: 30 KB in 30 us.
type secrets struct {
	mu    sync.RWMutex
	all   []*secret // the oldest first
	words map[uint64][]*secret
	maybe [1 << 12]uint64 // a bit for each hash of a word; none is ever cleared
}

const (
	wordSize    = 8
	shortest    = 2*wordSize - 1
	maxSecrets  = 20_000 // then the oldest are forgotten, until 3/4 are left
	hashWord    = 0x9e3779b97f4a7c15
	hashBits    = 18 // 64 bits in each element of maybe
	hashedShift = 64 - hashBits
)

func newSecrets() *secrets { return &secrets{words: map[uint64][]*secret{}} }

// add adds secrets, except those that are too short to be found.
func (s *secrets) add(all ...*secret) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range all {
		if len(one.text) < shortest {
			continue
		}
		if len(s.all) >= maxSecrets {
			for _, old := range s.all[:maxSecrets/4] {
				s.drop(old)
			}
			s.all = slices.Clone(s.all[maxSecrets/4:])
		}
		s.all = append(s.all, one)
		for _, word := range one.wordsOf() {
			s.words[word] = append(s.words[word], one)
			at := word * hashWord >> hashedShift
			s.maybe[at/64] |= 1 << (at % 64)
		}
	}
}

// count returns how many secrets are looked for.
func (s *secrets) count() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.all)
}

// drop forgets a secret. s.mu is held.
func (s *secrets) drop(one *secret) {
	for _, word := range one.wordsOf() {
		left := slices.DeleteFunc(s.words[word], func(other *secret) bool { return other == one })
		if len(left) == 0 {
			delete(s.words, word)
		} else {
			s.words[word] = left
		}
	}
}

// wordsOf are the words of which a text with the secret has one at a place divisible by 8, by their place in it.
func (one *secret) wordsOf() (words [wordSize]uint64) {
	for i := range words {
		words[i] = binary.LittleEndian.Uint64([]byte(one.text[i : i+wordSize]))
	}
	return words
}

// find returns a secret that is in a text and counts; nil if there is none.
func (s *secrets) find(text []byte, counts func(*secret) bool) *secret {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for i := 0; i+wordSize <= len(text); i += wordSize {
		word := binary.LittleEndian.Uint64(text[i:])
		at := word * hashWord >> hashedShift
		if s.maybe[at/64]&(1<<(at%64)) == 0 {
			continue
		}
		for _, one := range s.words[word] {
			if counts(one) && one.around(text, i) {
				return one
			}
		}
	}
	return nil
}

// around reports whether a text has the secret with one of its words at a place.
func (one *secret) around(text []byte, at int) bool {
	for k := range wordSize {
		if from := at - k; from >= 0 && from+len(one.text) <= len(text) &&
			string(text[from:from+len(one.text)]) == one.text {
			return true
		}
	}
	return false
}

// seenBy reports whether a secret counts in an answer to somebody: it is not theirs. nil is a visitor of whom nothing
// may depend.
func seenBy(who *member) func(*secret) bool {
	return func(one *secret) bool { return one.owner == nil || one.owner != who }
}

// seenOnBus reports whether a secret counts in a message, or in an item of memcached.
func seenOnBus(one *secret) bool { return !one.onBus }
