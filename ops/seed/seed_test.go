package seed_test

import (
	"testing"

	"flickrkillr/ops/seed"
	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/pictures"
)

func TestTmp(t *testing.T) {
	pool := testenv.Database(t)
	dir, err := pictures.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := seed.Run(t.Context(), seed.Config{Pool: pool, Pictures: dir, Users: 2000, Photos: 20000, Originals: 24, Long: 320}); err != nil {
		t.Fatal(err)
	}
	rows, _ := pool.Query(t.Context(), `select u.name, u.display_name, title, left(description,60), (select string_agg(tags.name, ',') from photo_tags join tags on tags.id=tag_id where photo_id=photos.id), camera, exposure, faves, taken_at::text from photos join users u on u.id=user_id where photos.id % 400 = 7 `)
	for rows.Next() {
		v, _ := rows.Values()
		t.Log(v...)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}
