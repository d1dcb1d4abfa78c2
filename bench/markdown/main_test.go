package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestConvert(t *testing.T) {
	for name, test := range map[string]struct{ input, want string }{
		"a column for each unit, and the range of repeated runs": {
			"goos: linux\n" +
				"BenchmarkRequest/key_in_the_query-2  50  412.4 ns/op  1.400 goal  1.294 x/baseline\n" +
				"BenchmarkRequest/key_in_the_query-2  50  412.4 ns/op  1.400 goal  1.331 x/baseline\n" +
				"BenchmarkRequest/Observe  50  512 ns/op  0 allocs/op\nPASS\n",
			"\n### Request\n\n" +
				"| | x/baseline | goal | ns/op | allocs/op |\n| --- | ---: | ---: | ---: | ---: |\n" +
				"| key in the query | 1.29–1.33 | 1.4 | 412ns |  |\n| Observe |  |  | 512ns | 0 |\n",
		},
		"a column for each engine": {
			"BenchmarkStore/keys=1000/engine=SQLite/lookup-2  9  20000 ns/op  90000 max-ns  19456 p50-ns\n" +
				"BenchmarkStore/keys=1000/engine=SQLite/create-2  9  500000 ns/op  1998.4 keys/s\n" +
				"BenchmarkStore/keys=1000/engine=MySQL/lookup-2  9  20000 ns/op  1900000 max-ns  190000 p50-ns\n",
			"\n### Store\n\n| | SQLite | MySQL |\n| --- | ---: | ---: |\n" +
				"| keys=1000, lookup, median / max | 19.5µs / 90µs | 190µs / 1.9ms |\n| keys=1000, create, keys/s | 1998 |  |\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			require.NoError(t, convert(&out, strings.NewReader(test.input)))
			require.Equal(t, test.want, out.String())
		})
	}
}
