package seed_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"flickrkillr/ops/seed"
	"flickrkillr/ops/stack"
	"flickrkillr/schema/migrations"
)

// BenchmarkSeedVersusCopy seeds a database on a private PostgreSQL with the settings of `up`, writes its tables to
// files, and reads those with psql's \copy into databases that get the same indexes: once with the indexes there from
// the start, once with them built afterwards. Neither has triggers or foreign keys to check, as seeding has. Reported
// are seconds and how many times longer seeding took.
//
//	go test ./ops/seed -run '^$' -bench SeedVersusCopy -benchtime 1x -timeout 30m [-short]
func BenchmarkSeedVersusCopy(b *testing.B) {
	users, photos := 100_000, 1_000_000
	if testing.Short() {
		users, photos = 10_000, 100_000
	}
	postgres, err := stack.StartPostgres(b.Context(), stack.PostgresConfig{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := postgres.Stop(); err != nil {
			b.Error(err)
		}
	}()
	files := b.TempDir()
	for b.Loop() {
		seeding := timeSeeding(b, postgres, files, users, photos)
		before := timeCopy(b, postgres, files, false)
		after := timeCopy(b, postgres, files, true)
		b.ReportMetric(seeding.Seconds(), "s/seeding")
		b.ReportMetric(before.Seconds(), `s/\copy_indexes_before`)
		b.ReportMetric(after.Seconds(), `s/\copy_indexes_after`)
		b.ReportMetric(seeding.Seconds()/before.Seconds(), "ratio/before")
		b.ReportMetric(seeding.Seconds()/after.Seconds(), "ratio/after")
		b.ReportMetric(0, "ns/op")
	}
}

// timeSeeding seeds, and returns the time of the rows and their indexes.
func timeSeeding(b *testing.B, postgres *stack.Postgres, files string, users, photos int) time.Duration {
	b.Helper()
	name, pool := database(b, postgres, "seeded")
	var took time.Duration
	began := time.Now()
	config := seed.Config{Pool: pool, Pictures: store(b), Users: users, Photos: photos, Originals: 30, Long: 320}
	config.Progress = func(p seed.Progress) {
		if p.Stage == seed.Searching && took == 0 {
			took = time.Since(began)
		}
	}
	if err := seed.Run(b.Context(), config); err != nil {
		b.Fatal(err)
	}
	var out strings.Builder
	for _, table := range migrations.Tables() {
		fmt.Fprintf(&out, "\\copy %s to '%s'\n", table, filepath.Join(files, table))
	}
	psql(b, postgres.URLFor(name), out.String())
	var size string
	if err := pool.QueryRow(
		b.Context(), "SELECT pg_size_pretty(pg_database_size(current_database()))",
	).Scan(&size); err != nil {
		b.Fatal(err)
	}
	b.Logf("the seeded database: %s", size)
	return took
}

// timeCopy gives the time of a bare \copy of the files.
func timeCopy(b *testing.B, postgres *stack.Postgres, files string, indexesAfter bool) time.Duration {
	b.Helper()
	name, pool := database(b, postgres, "copied")
	drop, create := indexes(b, pool)
	admin := postgres.AdminURL(name)
	// Only superusers may say that triggers and foreign keys are not to be looked at.
	in := "SET session_replication_role = replica;\nSET maintenance_work_mem = '256MB';\n"
	psql(b, admin, "DO $$ DECLARE f record; BEGIN FOR f IN SELECT conrelid::regclass AS t, conname FROM pg_constraint WHERE contype = 'f' LOOP "+
		"EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', f.t, f.conname); END LOOP; END $$;\n")
	if indexesAfter {
		psql(b, admin, drop)
	}
	for _, table := range migrations.Tables() {
		in += fmt.Sprintf("\\copy %s from '%s'\n", table, filepath.Join(files, table))
	}
	if indexesAfter {
		in += create
	}
	start := time.Now()
	psql(b, admin, in)
	return time.Since(start)
}

// indexes gives the statements that drop all indexes of the content's tables and those that make them anew.
func indexes(b *testing.B, pool *pgxpool.Pool) (drop, create string) {
	b.Helper()
	rows, err := pool.Query(b.Context(), `
		SELECT CASE WHEN c.oid IS NULL THEN format('DROP INDEX %s;', i.indexrelid::regclass)
				ELSE format('ALTER TABLE %s DROP CONSTRAINT %I CASCADE;', i.indrelid::regclass, c.conname) END,
			CASE WHEN c.oid IS NULL THEN pg_get_indexdef(i.indexrelid) || ';'
				ELSE format('ALTER TABLE %s ADD CONSTRAINT %I %s;', i.indrelid::regclass, c.conname, pg_get_constraintdef(c.oid)) END
		FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.contype IN ('p', 'u')
		WHERE i.indrelid = ANY ($1::regclass[]) ORDER BY i.indexrelid`, migrations.Tables())
	if err != nil {
		b.Fatal(err)
	}
	var d, c string
	if _, err := pgx.ForEachRow(rows, []any{&d, &c}, func() error {
		drop, create = drop+d+"\n", create+c+"\n"
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	return drop, create
}

// database makes a migrated database of the given name, in place of an earlier one.
func database(b *testing.B, postgres *stack.Postgres, name string) (string, *pgxpool.Pool) {
	b.Helper()
	psql(
		b, postgres.AdminURL("postgres"),
		"DROP DATABASE IF EXISTS "+name+" WITH (FORCE);\nCREATE DATABASE "+name+" OWNER killr;\n",
	)
	pool, err := pgxpool.New(context.Background(), postgres.URLFor(name))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	if err := migrations.Up(b.Context(), pool); err != nil {
		b.Fatal(err)
	}
	return name, pool
}

func psql(b *testing.B, url, script string) {
	b.Helper()
	programs, err := stack.FindPostgres(0)
	if err != nil {
		b.Fatal(err)
	}
	program := filepath.Join(programs.Dir, "psql")
	if _, err := os.Stat(program); err != nil {
		program = "psql"
	}
	cmd := exec.CommandContext(b.Context(), program, "-X", "-q", "-v", "ON_ERROR_STOP=1", url)
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("psql: %v: %s", err, out)
	}
}
