package stack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nats-io/nkeys"

	"flickrkillr/schema/wire"
)

// seedsDir is the directory of the roles' seeds within a data directory.
const seedsDir = "nkeys"

// Seeds are the files with the seeds by which roles sign in to NATS, as `nk -gen user` prints them. A role
// without one signs in to a NATS that asks for none. NATS itself knows their public keys only.
type Seeds map[wire.Role]string

// SeedsIn names the seeds of all roles in a data directory; nil: there are none.
func SeedsIn(data string) Seeds {
	dir := filepath.Join(data, seedsDir)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil
	}
	return seedFiles(dir)
}

func seedFiles(dir string) Seeds {
	seeds := Seeds{}
	for _, a := range wire.AccessTable() {
		seeds[a.Role] = filepath.Join(dir, string(a.Role)+".nk")
	}
	return seeds
}

// MakeSeeds makes a seed for each role that has none in a data directory yet. Only the owner may read them.
func MakeSeeds(data string) (Seeds, error) {
	dir := filepath.Join(data, seedsDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the seeds of the roles: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil { // it may have been there
		return nil, fmt.Errorf("make the seeds of the roles: %w", err)
	}
	seeds := seedFiles(dir)
	for role, file := range seeds {
		if err := makeSeed(file); err != nil {
			return nil, fmt.Errorf("make the seed of the role %s: %w", role, err)
		}
	}
	return seeds, nil
}

// makeSeed writes a new seed under another name and links it, so that a start cut short leaves no half of one. Of
// processes that do so at once the first wins; the others leave its seed as it is.
func makeSeed(file string) error {
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	key, err := nkeys.CreateUser()
	if err != nil {
		return err
	}
	defer key.Wipe()
	seed, err := key.Seed()
	if err != nil {
		return err
	}
	making, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".making-*") // only the owner may read it
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(making.Name()) }()
	_, err = making.Write(append(seed, '\n'))
	if err = errors.Join(err, making.Close()); err != nil {
		return err
	}
	if err := os.Link(making.Name(), file); !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

// publicKeys reads the seeds and returns the key of each role that NATS knows.
func (s Seeds) publicKeys() (map[wire.Role]string, error) {
	keys := map[wire.Role]string{}
	for role, file := range s {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read the seed of the role %s: %w", role, err)
		}
		key, err := nkeys.ParseDecoratedNKey(text)
		if err == nil {
			keys[role], err = key.PublicKey()
		}
		if err == nil && !nkeys.IsValidPublicUserKey(keys[role]) {
			err = errors.New("it is not the seed of a user")
		}
		if err != nil {
			return nil, fmt.Errorf("read the seed of the role %s: %s: %w: remove it to have another one made",
				role, file, err)
		}
	}
	return keys, nil
}
