package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
)

// reportMachine names what the figures were taken on.
func reportMachine(w io.Writer, p pace) {
	fmt.Fprintf(w, "%s, %d cores, %s/%s, %s; medians of %d rounds, each the fastest decile of %d turns of %v; GOGC=%d\n",
		processor(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), p.rounds, p.turns, p.slot, p.gc)
}

// processor returns the processor's name, where Linux tells.
func processor() string {
	const unknown = "unknown processor"
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return unknown
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return unknown
}
