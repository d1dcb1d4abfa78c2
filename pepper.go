package apikey

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"sync"
)

// A pepper is the key of an HMAC-SHA256 (RFC 2104). It pools initialized HMACs, because
// initializing one costs more than computing one. A closure contains the key and the pool is opaque,
// so that printers do not find them by reflection. A pepper is safe for concurrent use.
type pepper struct{ pool sync.Pool }

// A pooledMAC is an initialized HMAC with its input and output buffers. The buffers escape to the
// heap anyway, because the HMAC is behind an interface.
type pooledMAC struct {
	mac  hash.Hash
	text [maxPeppered]byte
	sum  Digest
}

const maxPeppered = 64 // bytes of the text of sum

// newPepper returns the pepper whose key is block, padded with zeros (RFC 2104 section 2).
func newPepper(block [sha256.BlockSize]byte) *pepper {
	p := new(pepper)
	p.pool.New = func() any { return &pooledMAC{mac: hmac.New(sha256.New, block[:])} }
	return p
}

// sum returns the HMAC of s, a text of at most maxPeppered bytes.
func sum[T string | []byte](p *pepper, s T) Digest {
	h := p.pool.Get().(*pooledMAC)
	h.mac.Reset()
	h.mac.Write(h.text[:copy(h.text[:], s)])
	h.mac.Sum(h.sum[:0])
	d := h.sum
	clear(h.text[:]) // so that the pool does not keep the presented key
	p.pool.Put(h)
	return d
}
