package peers

import (
	"context"
	"os"
	"path/filepath"

	"flickrkillr/ops/lab/rig"
)

// Protocols starts the servers that are compared over several protocols. secure ones serve HTTPS, by HTTP/1.1 and
// HTTP/2, with the key pair.
type Protocols struct {
	KeyPair KeyPair

	Kept    func(secure bool, file string) Starter // a plain Go program with a page in memory, compressed
	Program func(secure bool) Starter              // a plain Go program that makes each page
	Near    func(secure bool) Starter              // an edge with its in-process cache
	Cold    func(secure bool) Starter              // no cache; bus, renderer and edge are one process
	NetHTTP func(secure bool) Starter              // the same without the fast path
}

// protocol is how visitors speak to a server.
type protocol string

const (
	h1    protocol = "h1"
	h1TLS protocol = "h1+TLS"
	h2TLS protocol = "h2+TLS"
)

var protocols = [...]protocol{h1, h1TLS, h2TLS}

func (p protocol) secure() bool { return p == h1TLS || p == h2TLS }

// streams is how many visitors share a connection of HTTP/2, so that a server may answer several at once.
const streams = 4

// Names of further servers.
const (
	plainKept   = "plain Go program, from memory"
	oursNetHTTP = "Flickr Killr, net/http alone"
)

// listProtocols lists the servers once for each protocol, those to compare next to each other. This site's copy of the
// page comes first: the others keep the bytes that it answers with.
func (r *run) listProtocols() {
	var nginx bool
	r.nginx, nginx = rig.FindNginx()
	of := r.cfg.Protocols
	started := map[string]*rig.Server{} // a server within TLS speaks both protocols
	for _, proto := range protocols {
		secure := proto.secure()
		add := func(p peer, start func(context.Context, *run) (*rig.Server, error)) {
			p.protocol = proto
			p.start = func(ctx context.Context, r *run) (server *rig.Server, err error) {
				if !secure {
					return start(ctx, r)
				}
				if server = started[p.name]; server == nil {
					server, err = start(ctx, r)
					started[p.name] = server
				}
				return server, err
			}
			r.peers = append(r.peers, &p)
		}
		starts := func(s Starter) func(context.Context, *run) (*rig.Server, error) {
			return ours(func(Ours) Starter { return s })
		}
		add(peer{name: oursNear, found: true, tier: "near"}, starts(of.Near(secure)))
		add(peer{name: nginxFile, program: "nginx", found: nginx},
			func(ctx context.Context, r *run) (*rig.Server, error) {
				return r.startNginxAt(ctx, secure, nil, func(addr, dir string) (string, error) {
					files := filepath.Join(dir, "files")
					return fileConfig(r.listen(addr, secure), files, "gzip_static on;"), r.putFiles(files)
				})
			})
		add(peer{name: plainKept, found: true}, func(ctx context.Context, r *run) (*rig.Server, error) {
			file := filepath.Join(r.dir, "kept.gz")
			if err := os.WriteFile(file, r.kept, 0o644); err != nil {
				return nil, err
			}
			return starts(of.Kept(secure, file))(ctx, r)
		})
		add(peer{name: oursTogether, found: true, cold: true, tier: "render"}, starts(of.Cold(secure)))
		add(peer{name: oursNetHTTP, found: true, cold: true, tier: "render"}, starts(of.NetHTTP(secure)))
		add(peer{name: plainNginx, program: "nginx", found: nginx, cold: true},
			func(ctx context.Context, r *run) (*rig.Server, error) {
				origin, p, err := r.cfg.Program()
				if err != nil {
					return nil, err
				}
				return r.startNginxAt(ctx, secure, []rig.Process{p}, func(addr, _ string) (string, error) {
					return frontConfig(r.listen(addr, secure), origin), nil
				})
			})
		add(peer{name: plain, found: true, cold: true}, starts(of.Program(secure)))
	}
}

// listen is what nginx listens to: an address, by HTTP/1.1 alone, or within TLS by HTTP/2 as well.
func (r *run) listen(addr string, secure bool) string {
	if !secure {
		return addr
	}
	pair := r.cfg.Protocols.KeyPair
	return addr + " ssl http2;\n\t\tssl_certificate " + pair.Certificate + ";\n\t\tssl_certificate_key " + pair.Key
}

// putFiles writes the page where fileConfig finds it, as it is and compressed.
func (r *run) putFiles(dir string) error {
	if err := putFile(dir, r.cfg.Page.Path, r.cfg.Body); err != nil {
		return err
	}
	return putFile(dir, r.cfg.Page.Path+".gz", r.kept)
}
