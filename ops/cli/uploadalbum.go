package cli

import (
	"fmt"
	"path"
)

// addTo puts the photos of all files into an album, in the order of the files. Those that are in it stay where they
// are, so the next run does what this one has not done.
func (u *uploader) addTo(s *session, edge *edgeClient, album string) error {
	var photos []string
	for _, r := range u.results { // in order, see report
		if r.err == nil {
			photos = append(photos, path.Base(r.photo))
		}
	}
	api := ownAPI{edge, u.token}
	if err := api.addToAlbum(s.ctx, album, photos); err != nil {
		return fmt.Errorf("put the photos into an album: %w", err)
	}
	if len(photos) > 0 {
		fmt.Fprintf(s.stdout, "%d in the album %s\n", len(photos), album)
	}
	return nil
}
