package systemd

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flickrkillr/ops/debug"
)

// asService turns this test program into a service: it reports, and accepts a connection at each of its sockets.
const asService = "KILLR_TEST_AS_SERVICE"

func beService() {
	sockets, err := Sockets()
	if err != nil {
		fmt.Println(err)
		return
	}
	again, err := Sockets()
	fmt.Println("then", len(again), err)
	stop := Report(context.Background(), func() []debug.Role {
		return []debug.Role{{Name: "edge", Ready: func() error { return nil }}}
	}, slog.Default())
	defer stop()
	for _, name := range strings.Split(os.Getenv(asService), ",") {
		conn, err := sockets[name].Accept()
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Fprintln(conn, name)
		_ = conn.Close()
	}
}

// service is this program, given sockets as systemd gives them to the process of a service. It prints to out.
func service(t *testing.T, names string, sockets ...interface{ File() (*os.File, error) }) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0"`, os.Args[0])
	for _, socket := range sockets {
		file, err := socket.File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = file.Close() })
		cmd.ExtraFiles = append(cmd.ExtraFiles, file)
	}
	cmd.Env = append(os.Environ(), asService+"="+names, "LISTEN_FDNAMES="+strings.ReplaceAll(names, ",", ":"),
		fmt.Sprintf("LISTEN_FDS=%d", len(sockets)))
	return cmd
}

func listen(t *testing.T) *net.TCPListener {
	t.Helper()
	lis, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lis.Close() })
	return lis
}

// TestService: a process finds its sockets by their names, once, and tells systemd that it is ready in time for the
// watchdog.
func TestService(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = notify.Close() }()
	http, https := listen(t), listen(t)
	cmd := service(t, "http,https", http, https)
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+filepath.Join(dir, "notify"), "WATCHDOG_USEC=40000")
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// A service that fails ends, and this test with it.
	ended := time.AfterFunc(time.Minute, func() { _ = notify.Close(); _ = cmd.Process.Kill() })
	defer ended.Stop()
	heard := ""
	for message := make([]byte, 4096); strings.Count(heard, "WATCHDOG=1") < 3; heard += "\n" {
		n, err := notify.Read(message)
		if err != nil {
			t.Fatal(err, heard)
		}
		heard += string(message[:n])
	}
	if strings.Count(heard, "READY=1") != 1 {
		t.Errorf("systemd heard %q", heard)
	}
	for i, name := range []string{"http", "https"} {
		conn, err := net.Dial("tcp", []net.Listener{http, https}[i].Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if got, err := bufio.NewReader(conn).ReadString('\n'); err != nil || got != name+"\n" {
			t.Errorf("the socket %s says %q, %v", name, got, err)
		}
	}
	if err := cmd.Wait(); err != nil || !strings.HasPrefix(out.String(), "then 0 <nil>\n") {
		t.Errorf("%v: %s", err, out.String())
	}
}

// TestWrongSockets: a process refuses what is no listener of TCP, and two sockets of one name.
func TestWrongSockets(t *testing.T) {
	t.Parallel()
	datagrams, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = datagrams.Close() }()
	for want, cmd := range map[string]*exec.Cmd{
		`take the socket "http"`:            service(t, "http", datagrams),
		"there is one of that name already": service(t, "http,http", listen(t), listen(t)),
	} {
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%v: %s; want %q", err, out, want)
		}
	}
}
