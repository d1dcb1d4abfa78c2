package apikey

import "hash/crc32"

// crc32Tables are the tables of the slicing-by-8 algorithm: table i contains the CRC-32 of each byte
// followed by i zero bytes.
var crc32Tables = func() (t [8]crc32.Table) {
	t[0] = *crc32.IEEETable
	for i := 1; i < len(t); i++ {
		for b, c := range t[i-1] {
			t[i][b] = t[0][byte(c)] ^ c>>8
		}
	}
	return t
}()

// crc32Update is crc32.Update with the IEEE polynomial for a string. The argument of the standard
// library's function escapes, which would cost each request an allocation.
func crc32Update(crc uint32, s string) uint32 {
	t := &crc32Tables
	crc = ^crc
	for ; len(s) >= 8; s = s[8:] {
		x := eightBytes(s) ^ uint64(crc)
		crc = t[7][byte(x)] ^ t[6][byte(x>>8)] ^ t[5][byte(x>>16)] ^ t[4][byte(x>>24)] ^
			t[3][byte(x>>32)] ^ t[2][byte(x>>40)] ^ t[1][byte(x>>48)] ^ t[0][x>>56]
	}
	// The rest takes one step too, so that its table lookups do not depend on each other. The random
	// part of a key leaves six bytes, which need no loop.
	if len(s) == 6 {
		x := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40
		x ^= uint64(crc)
		return ^(t[5][byte(x)] ^ t[4][byte(x>>8)] ^ t[3][byte(x>>16)] ^ t[2][byte(x>>24)] ^ t[1][byte(x>>32)] ^ t[0][byte(x>>40)])
	}
	var rest uint32
	for i := range len(s) {
		rest ^= t[(len(s)-1-i)&7][byte(crc)^s[i]]
		crc >>= 8
	}
	return ^(rest ^ crc)
}

// eightBytes returns the first eight bytes of s. The compiler makes it one load on most processors.
func eightBytes(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}
