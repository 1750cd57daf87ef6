package pictures

import (
	"bufio"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"flickrkillr/renderer/outside"
)

// ErrCrashed: the process that decoded the picture has ended, talks nonsense, or was killed because the deadline of the
// context had come. The picture may be to blame.
var ErrCrashed = errors.New("pictures: the process that decodes pictures has ended")

// Patience is how long a picture may take a process that gets only idle processors. One of 12 megapixels takes 0.3 s.
const Patience = 3 * time.Second

// patienceHEIC is how many times as long a HEIC file may take.
const patienceHEIC = 5

// outsidePause is for how long this process decodes when no other could be started.
const outsidePause = time.Minute

// others are the processes that decode for this one; nil: it decodes itself.
var others atomic.Pointer[makers]

// makers are processes that decode originals and make derivatives.
type makers struct {
	*outside.Processes
	patience time.Duration
	failed   func(error)
}

// Greeting is what such a process says first: without it, it is another program, or an older version.
const Greeting = "killr pictures 1"

// order is what a process is asked for. The original follows, so many bytes.
type order struct {
	Make  making
	Bytes int64
}

// answer is a derivative, if it has a width; otherwise the last answer to an order.
type answer struct {
	Width int
	JPEG  []byte

	Seen    seen
	Refused *RefusedError // without its Err
	Problem string        // why it could not be made, or the Err of Refused
}

// Outside has originals decoded by other processes of a lower priority from now on, by so many at once: Ingest alone
// decodes here. With a patience, such as [Patience], they get only processors that nothing else wants, as long as a
// picture takes no longer than that. Each process runs command, which has to call [Serve]. While pictures are decoded
// at the usual priority, pages wait for a processor; and what makes a decoder need too much memory ends that process
// alone, see ErrCrashed. When none can be started, failed is told, and for a minute originals are decoded here. end
// ends the processes; it waits for pictures.
func Outside(atOnce int, patience time.Duration, command func() *exec.Cmd, failed func(error)) (end func()) {
	all := &makers{outside.New(atOnce, command, outsidePause), patience, failed}
	others.Store(all)
	return sync.OnceFunc(func() {
		others.CompareAndSwap(all, nil)
		all.End()
	})
}

// run has a process run m. The error is outside.ErrNone if it must be done here.
func (all *makers) run(
	ctx context.Context, m making, original []byte, got func(width int, jpeg []byte),
) (result seen, err error) {
	var last answer
	asked := false
	patience := all.patience
	if isHEIC(original) {
		patience *= patienceHEIC
	}
	err = all.AskIdle(ctx, patience, func(p *outside.Process) error {
		asked = true
		if p.New {
			var said string
			if err := p.Decode(&said); err != nil {
				return fmt.Errorf("%w: %w", outside.ErrStart, err)
			}
			if said != Greeting {
				return fmt.Errorf("%w: it says %.40q and not %q", outside.ErrStart, said, Greeting)
			}
		}
		if err := p.Encode(order{m, int64(len(original))}); err != nil {
			return err
		}
		if _, err := p.Input.Write(original); err != nil {
			return err
		}
		for {
			last = answer{}
			if err := p.Decode(&last); err != nil || last.Width == 0 {
				return err
			}
			got(last.Width, last.JPEG)
		}
	})
	switch {
	case err != nil && asked && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return seen{}, fmt.Errorf("%w: %w", ErrCrashed, err)
	case errors.Is(err, outside.ErrStart):
		all.Pause()
		all.failed(err)
		return seen{}, outside.ErrNone
	case errors.Is(err, outside.ErrNone), err != nil && ctx.Err() != nil:
		return seen{}, err
	case err != nil:
		return seen{}, fmt.Errorf("%w: %w", ErrCrashed, err)
	case last.Refused != nil:
		last.Refused.Err = errors.New(last.Problem)
		return seen{}, last.Refused
	case last.Problem != "":
		return seen{}, errors.New(last.Problem)
	}
	return last.Seen, nil
}

// Serve makes what [Outside] of another process asks for, until its input ends.
func Serve(input io.Reader, output io.Writer) error {
	in := bufio.NewReaderSize(input, MaxPiece)
	decoder, encoder := gob.NewDecoder(in), gob.NewEncoder(output)
	if err := encoder.Encode(Greeting); err != nil {
		return err
	}
	for {
		var o order
		if err := decoder.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if o.Bytes < 0 || o.Bytes > MaxFile {
			return fmt.Errorf("pictures: an original of %d bytes", o.Bytes)
		}
		original := make([]byte, o.Bytes)
		if _, err := io.ReadFull(in, original); err != nil {
			return err
		}
		var failed error
		result, err := o.Make.here(context.Background(), original, func(width int, jpeg []byte) {
			if failed == nil {
				failed = encoder.Encode(answer{Width: width, JPEG: jpeg})
			}
		})
		if failed == nil {
			failed = encoder.Encode(lastAnswer(result, err))
		}
		if failed != nil {
			return failed
		}
	}
}

// lastAnswer says how an order has ended.
func lastAnswer(result seen, err error) answer {
	last := answer{Seen: result}
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		plain := *refused
		plain.Err = nil
		last.Refused = &plain
		if refused.Err != nil {
			last.Problem = refused.Err.Error()
		}
	} else if err != nil {
		last.Problem = err.Error()
	}
	return last
}
