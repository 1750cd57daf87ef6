//go:build linux

package deploy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestVoterJoins: what a voter begins as, by what it has, by whether a deployment starts it, and by what others say.
func TestVoterJoins(t *testing.T) {
	t.Parallel()
	const m1, m3 = "1, started, m1, https://m1:2380, https://m1:2379, false", "3, unstarted, , https://m3:2380, , true"
	for _, c := range []struct {
		name   string
		has    string // a file of its folder
		told   time.Duration
		others string // their answer
		want   string
	}{
		{"its list is kept until others answer", "joins", time.Second, "", "existing old"},
		{"its list of before is replaced", "joins", time.Second, m1, "add existing m1=new"},
		{"others have served before", "joins.new", time.Second, "", ""},
		{"one that did not begin is removed", "other", time.Second, m1 + "\n" + m3, "remove 3 add existing m1=new"},
		{"it was removed", "data/member", time.Second, m1, "add existing m1=new"},
		{"its deployment was killed long ago", "data/member", time.Hour, m1, "new all"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := programs(t, map[string]string{
				"etcd": `while [ "$1" != --initial-cluster ]; do shift; done
					case "$2" in *m3*) set -- 1 all 3 "$4" ;; esac
					printf '%s %s' "$4" "$2" >>DIR/did`,
				"etcdctl": `case "$3 $4" in
					"member list") [ -s DIR/others ] || exit 1; cat DIR/others ;;
					"member remove") printf 'remove %s ' "$5" >>DIR/did ;;
					"member add") printf 'add ' >>DIR/did; echo 'ETCD_INITIAL_CLUSTER="m1=new"' ;;
					esac`,
				"sleep": "", "others": "", "told": "", "did": "",
			})
			for name, text := range map[string]string{"others": c.others, c.has: "old", "did": ""} {
				path := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			began := time.Now().Add(-c.told)
			if err := os.Chtimes(filepath.Join(dir, "told"), began, began); err != nil {
				t.Fatal(err)
			}
			script := service(t, "etcd.sh", "/var/lib/killr-etcd", dir, "/run/killr-etcd.service.told", dir+"/told")
			out, err := run(t, script, dir, []string{"SECONDS=29", "CREDENTIALS_DIRECTORY=" + dir, "NAME=m2",
				"CLIENT=-", "OTHERS=https://127.0.0.1:1", "PEER=https://m2:2380", "LISTEN_PEER=-", "LISTEN_CLIENT=-",
				"VOTERS=m1=https://m1:2380,m2=https://m2:2380,m3=https://m3:2380"}, "run")
			if did := strings.TrimSpace(wrote(t, dir, "did")); did != c.want || (err == nil) != (c.want != "") {
				t.Errorf("it did %q, want %q: %v: %s", did, c.want, err, out)
			}
		})
	}
}
