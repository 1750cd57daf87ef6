package stack

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"flickrkillr/schema/wire"
)

// TestSeedsMadeAtOnce: processes that start at the same moment agree on the seeds, which only the owner may read.
func TestSeedsMadeAtOnce(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	dir := filepath.Join(data, seedsDir)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	const starts = 16
	var keys [starts]map[wire.Role]string
	var wg sync.WaitGroup
	for i := range starts {
		wg.Go(func() {
			seeds, err := MakeSeeds(data)
			if err != nil {
				t.Error(err)
				return
			}
			if keys[i], err = seeds.publicKeys(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for role, key := range keys[0] {
		for i := range starts {
			if keys[i][role] != key {
				t.Errorf("start %d has another key of %s", i, role)
			}
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != len(keys[0]) {
		t.Errorf("%d files for %d roles, %v", len(files), len(keys[0]), err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory: %v, %v", info.Mode(), err)
	}
}
