package seed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// copyTable copies rows into a table in n pieces. Several goroutines make the pieces, ahead of the database; they are
// sent in order, and made is called with the number of rows of each piece. COPY FREEZE writes rows as known to be
// committed, so no later pass over them is needed; it is allowed because the table was emptied in the same transaction.
func copyTable(
	ctx context.Context, tx pgx.Tx, table string, columns []string, n int, piece func(m *maker, out *rows, i int),
	w *world, made func(int64),
) error {
	sql := fmt.Sprintf("COPY %s (%s) FROM STDIN (FORMAT binary, FREEZE)", table, strings.Join(columns, ", "))
	workers := runtime.GOMAXPROCS(0)
	group, ctx := errgroup.WithContext(ctx)
	ctx, cancel := context.WithCancel(ctx)
	type job struct {
		i    int
		done chan *rows
	}
	jobs := make(chan job)
	order := make(chan chan *rows, workers+1) // How far the makers may be ahead.
	free := make(chan *rows, workers+3)
	group.Go(func() error {
		defer close(jobs)
		defer close(order)
		for i := range n {
			j := job{i, make(chan *rows, 1)}
			select {
			case order <- j.done:
			case <-ctx.Done():
				return nil // The copy says why.
			}
			select {
			case jobs <- j:
			case <-ctx.Done():
				return nil
			}
		}
		return nil
	})
	for range workers {
		group.Go(func() error {
			m := w.maker()
			for j := range jobs {
				out := &rows{}
				select {
				case out = <-free:
					out.b, out.n = out.b[:0], 0
				default:
				}
				piece(m, out, j.i)
				j.done <- out
			}
			return nil
		})
	}
	group.Go(func() error {
		defer cancel() // However the copy ended, nothing more needs to be made.
		r := &pieceReader{ctx: ctx, order: order, free: free, made: made, rest: []byte(copyHeader)}
		if _, err := tx.Conn().PgConn().CopyFrom(ctx, r, sql); err != nil {
			// When the context ended while it waited for a piece, the server's word on it is all it returns.
			return fmt.Errorf("copy into %s: %w", table, errors.Join(ctx.Err(), err))
		}
		return nil
	})
	return group.Wait()
}

// pieceReader concatenates pieces for COPY.
type pieceReader struct {
	ctx   context.Context
	order <-chan chan *rows
	free  chan<- *rows
	made  func(int64)
	piece *rows
	rest  []byte
	ended bool
}

func (r *pieceReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.ended {
			return 0, io.EOF
		}
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *pieceReader) next() error {
	if r.piece != nil {
		r.made(r.piece.n)
		select {
		case r.free <- r.piece:
		default:
		}
		r.piece = nil
	}
	var done chan *rows
	var more bool
	select {
	case done, more = <-r.order:
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
	if !more {
		if err := r.ctx.Err(); err != nil {
			return err // The makers gave up: this is no end.
		}
		r.rest, r.ended = []byte(copyTrailer), true
		return nil
	}
	select {
	case r.piece = <-done:
		r.rest = r.piece.b
		return nil
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}
