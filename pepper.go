package apikey

import (
	"crypto/sha256"
	"encoding"
)

// A pepper is the key of an HMAC-SHA256 (RFC 2104). It keeps the two states of SHA-256 that
// the key leads to: preparing them costs more than the rest. They are as good as the secret,
// so they are within a function, where no dumper prints them.
type pepper struct{ states func() *hmacStates }

// hmacStates are SHA-256 after the key, filled up to a block, in the two paddings of HMAC, as
// its MarshalBinary writes them.
type hmacStates struct{ inner, outer []byte }

// newPepper returns the pepper whose key is this, filled up with zeros to a block.
func newPepper(block [sha256.BlockSize]byte) *pepper {
	padded := func(padding byte) []byte {
		key := block
		for i := range key {
			key[i] ^= padding
		}
		h := sha256.New()
		h.Write(key[:])
		state, err := h.(encoding.BinaryMarshaler).MarshalBinary()
		if err != nil {
			panic(err) // documented by crypto/sha256 not to be
		}
		return state
	}
	states := hmacStates{padded(0x36), padded(0x5c)}
	return &pepper{func() *hmacStates { return &states }}
}

// sum returns the HMAC of s, which is at most 64 bytes long. It allocates nothing: crypto/hmac
// would keep its states on the heap, behind interfaces, and a pool would have to hand
// them out.
func sum[T string | []byte](p *pepper, s T) (d Digest) {
	states := p.states()
	var buf [64]byte
	h := sha256.New()
	resume(h.(encoding.BinaryUnmarshaler).UnmarshalBinary(states.inner))
	h.Write(buf[:copy(buf[:], s)])
	h.Sum(d[:0])
	resume(h.(encoding.BinaryUnmarshaler).UnmarshalBinary(states.outer))
	h.Write(d[:])
	h.Sum(d[:0])
	return d
}

// resume panics where a state is not taken back by the SHA-256 that gave it, which would
// make every key wrong.
func resume(err error) {
	if err != nil {
		panic(err)
	}
}
