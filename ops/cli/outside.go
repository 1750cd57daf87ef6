package cli

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"

	"flickrkillr/renderer/password"
	"flickrkillr/renderer/pictures"
)

// workOutside has the renderers of this process hash passwords and decode pictures in processes of their own, until
// end. Those that hash occupy half of the machine's processors at most, and so do those that decode, if pictureWorkers
// is 0: otherwise it is their number. hashBound is for [password.Outside].
func (s *session) workOutside(pictureWorkers int, hashBound time.Duration) (end func(), err error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("hash passwords and decode pictures in processes of their own: %w", err)
	}
	half := max(1, runtime.NumCPU()/2)
	endHashes := password.Outside(half, hashBound,
		func() *exec.Cmd { return hashProcess(program, s.stderr) },
		func(err error) { s.log.Warn("passwords are hashed by the renderer itself for now", "err", err) })
	endPictures := pictures.Outside(cmp.Or(pictureWorkers, half), pictures.Patience,
		func() *exec.Cmd { return pictureProcess(program, s.stderr) },
		func(err error) { s.log.Warn("pictures are decoded by the renderer itself for now", "err", err) })
	return func() { endHashes(); endPictures() }, nil
}
