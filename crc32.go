package apikey

import "hash/crc32"

// crc32Tables serve to take eight bytes at a time ("slicing-by-8"): table i is the
// CRC-32 of a byte with i zero bytes after it.
var crc32Tables = func() (t [8]crc32.Table) {
	t[0] = *crc32.IEEETable
	for i := 1; i < len(t); i++ {
		for b, c := range t[i-1] {
			t[i][b] = t[0][byte(c)] ^ c>>8
		}
	}
	return t
}()

// crc32Update is crc32.Update with the IEEE polynomial, for a string. The standard
// library's lets its argument escape, which would cost each request an allocation.
func crc32Update(crc uint32, s string) uint32 {
	t := &crc32Tables
	crc = ^crc
	for ; len(s) >= 8; s = s[8:] {
		crc ^= uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
		crc = t[7][byte(crc)] ^ t[6][byte(crc>>8)] ^ t[5][byte(crc>>16)] ^ t[4][crc>>24] ^
			t[3][s[4]] ^ t[2][s[5]] ^ t[1][s[6]] ^ t[0][s[7]]
	}
	for i := range len(s) {
		crc = t[0][byte(crc)^s[i]] ^ crc>>8
	}
	return ^crc
}
