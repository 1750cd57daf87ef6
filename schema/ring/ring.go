// Package ring chooses the memcached server of a key.
//
// Input: addresses, keys. Output: one address. Must not touch: any connection.
//
// Edges read what cachefills wrote, so both must choose the same server, in whatever order their flags name the
// servers.
package ring

import (
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/cespare/xxhash/v2"
)

// Ring selects by rendezvous hashing: each key goes to the server that scores highest for it, so that adding one to N
// servers moves 1/(N+1) of the keys and no other. (gomemcache's own choice, a checksum modulo N, moves 75% when a
// fourth is added to three.)
type Ring struct {
	servers []server
}

type server struct {
	addr net.Addr
	seed uint64
}

// address is a net.Addr that is resolved when dialled, so that a name may move to another machine.
type address string

func (a address) Network() string { return "tcp" }
func (a address) String() string  { return string(a) }

// New makes a Ring of host:port addresses, in any order. An empty list, a repeated or a malformed address is an error.
func New(addrs []string) (*Ring, error) {
	if len(addrs) == 0 {
		return nil, errors.New("memcached: no server is named")
	}
	r := &Ring{}
	for _, a := range addrs {
		host, port, err := net.SplitHostPort(a)
		if err != nil || host == "" || port == "" {
			return nil, fmt.Errorf("memcached server %q: want host:port", a)
		}
		if slices.ContainsFunc(r.servers, func(s server) bool { return s.addr.String() == a }) {
			return nil, fmt.Errorf("memcached server %q is named twice", a)
		}
		r.servers = append(r.servers, server{address(a), xxhash.Sum64String(a)})
	}
	return r, nil
}

// PickServer implements memcache.ServerSelector.
func (r *Ring) PickServer(key string) (net.Addr, error) {
	return r.servers[r.pick(key)].addr, nil
}

// Each implements memcache.ServerSelector.
func (r *Ring) Each(f func(net.Addr) error) error {
	for _, s := range r.servers {
		if err := f(s.addr); err != nil {
			return err
		}
	}
	return nil
}

func (r *Ring) pick(key string) int {
	h := xxhash.Sum64String(key)
	best, top := 0, uint64(0)
	for i, s := range r.servers {
		if score := mix(h ^ s.seed); score > top || i == 0 {
			best, top = i, score
		}
	}
	return best
}

// mix is the finalizer of MurmurHash3 (fmix64, Austin Appleby, public domain): every bit of x reaches every bit of the
// score.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

var _ memcache.ServerSelector = (*Ring)(nil)
