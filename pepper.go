package apikey

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"sync"
)

// A pepper is the key of an HMAC-SHA256. It keeps prepared states, since preparing
// one costs more than the rest. The secret is within a function, and the states are
// where reflection does not look, so no dumper prints them.
type pepper struct{ states sync.Pool }

type hmacState struct {
	mac hash.Hash
	buf [64]byte // here, because what is passed to a hash.Hash escapes
}

func newPepper(secret Secret) *pepper {
	return &pepper{states: sync.Pool{New: func() any {
		return &hmacState{mac: hmac.New(sha256.New, []byte(secret.Reveal()))}
	}}}
}

// sum returns the HMAC of s, which is at most 64 bytes long.
func sum[T string | []byte](p *pepper, s T) (d Digest) {
	st := p.states.Get().(*hmacState)
	st.mac.Reset()
	st.mac.Write(st.buf[:copy(st.buf[:], s)])
	copy(d[:], st.mac.Sum(st.buf[:0]))
	p.states.Put(st)
	return d
}
