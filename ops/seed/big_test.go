package seed_test

import (
	"testing"
	"time"
	"fmt"

	"flickrkillr/ops/seed"
	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/pictures"
)

func TestBig(t *testing.T) {
	pool := testenv.Database(t)
	dir, err := pictures.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	start := time.Now()
	last := seed.Stage("")
	if err := seed.Run(t.Context(), seed.Config{Pool: pool, Pictures: dir, Originals: 48, Long: 320, Progress: func(p seed.Progress){ if p.Stage!=last || p.Done==p.Total { fmt.Println(time.Since(start), p); last=p.Stage } }}); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{
		"select count(*)||' users '||(select count(*) from photos)||' photos '||(select count(*) from photo_tags)||' tags '||(select count(*) from albums)||' albums '||(select count(*) from album_photos) from users",
		"select pg_size_pretty(pg_database_size(current_database()))",
		"select string_agg(relname||' '||pg_size_pretty(pg_total_relation_size(oid)), ', ') from pg_class where relname in ('users','photos','photo_tags','albums','album_photos')",
		"select string_agg(relname||' '||pg_size_pretty(pg_relation_size(oid)), ', ') from pg_class where relkind='i' and relname like 'photo%'",
		"select 'percentiles '||percentile_disc(array[0.1,0.25,0.5,0.75,0.9,0.99,0.999,1]) within group (order by photo_count)::text||' over1000 '||count(*) filter (where photo_count>=1000) from users",
		"select 'titles '||count(distinct title)||' len '||avg(length(title))||' desc '||avg(length(description))||' max '||max(length(description))||' faves '||max(faves)||' private '||avg(private::int) from photos",
	} {
		var s string
		if err := pool.QueryRow(t.Context(), q).Scan(&s); err != nil { t.Fatal(err) }
		t.Log(s)
	}
}
