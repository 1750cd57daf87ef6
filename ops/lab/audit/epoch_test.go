package audit

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// TestEpochs: what was announced once is known from then on, also when more was.
func TestEpochs(t *testing.T) {
	t.Parallel()
	a := newAudit(t)
	e := a.newEpochs()
	announce := func() (version int64) {
		if err := a.cfg.Pool.QueryRow(t.Context(), `SELECT announce_all()`).Scan(&version); err != nil {
			t.Fatal(err)
		}
		return version
	}
	first := announce()
	if !e.has(first) || e.has(first+1) {
		t.Error("the first one is not known, or the version after it is")
	}
	if second := announce(); !e.has(second) || !e.has(first) {
		t.Error("the second one is not known, or the first one no more")
	}
}

// TestEpochIsReadAgain: a primary that is gone says nothing, and the next one does.
func TestEpochIsReadAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answers := []error{errors.New("it is gone"), nil}
		e := &epochs{all: map[int64]bool{}, last: func(context.Context) (int64, error) {
			err := answers[0]
			answers = answers[1:]
			return 7, err
		}}
		if !e.has(7) || !e.has(7) || len(answers) > 0 {
			t.Error("it was not read again, or once more than needed")
		}
	})
}
