package rig

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// FindNginx returns the path of nginx; false if it is not installed.
func FindNginx() (string, bool) {
	for _, name := range [...]string{"nginx", "/usr/sbin/nginx", "/usr/local/sbin/nginx", "/opt/homebrew/bin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, true
		}
	}
	return "", false
}

// nginxConfig is what all configurations share: nginx writes only below its folder, logs no requests, keeps connections
// as browsers expect, and knows the types of the site's files.
const nginxConfig = `daemon off;
worker_processes auto;
pid %[1]s/nginx.pid;
error_log stderr crit;
events { worker_connections 4096; }
http {
	types { text/html html; text/css css; text/javascript js; image/svg+xml svg; image/jpeg jpg; }
	access_log off;
	sendfile on;
	tcp_nopush on;
	keepalive_requests 10000000;
	open_file_cache max=1000;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
%[2]s
}
`

// Nginx writes a configuration into dir, which must exist and be empty, and returns the process. blocks are inserted
// inside http {}.
func Nginx(program, dir, blocks string) (Process, error) {
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, fmt.Appendf(nil, nginxConfig, dir, blocks), 0o644); err != nil {
		return Process{}, fmt.Errorf("configure nginx: %w", err)
	}
	return Process{Name: "nginx", Command: func() *exec.Cmd {
		cmd := exec.Command(program, "-e", "stderr", "-p", dir, "-c", path)
		cmd.Stderr = os.Stderr
		return cmd
	}}, nil
}
