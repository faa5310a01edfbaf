package main

import (
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// judging is what the benchmarks of package rule say.
type judging struct {
	rules int
	// seen and unseen are the processor time of all rules for one container:
	// all of it seen, and with partial evaluation throughout. load is that of
	// reading and compiling all rules.
	seen, unseen, load time.Duration
}

// benchmarkRuns is how often each benchmark runs; the middle one counts.
const benchmarkRuns = 7

func measureJudging() (judging, error) {
	values, err := benchmarks("internal/rule", "JudgeSeen|JudgeUnseen|Load", "300ms", benchmarkRuns)
	if err != nil {
		return judging{}, err
	}
	return judgingOf(values)
}

// benchmarks runs some of a package's benchmarks, and gives all values by "NAME UNIT".
func benchmarks(pkg, names, each string, runs int) (map[string][]float64, error) {
	cmd := exec.Command("go", "test", "-run", "^$", "-bench", "^Benchmark("+names+")$", "-benchtime", each, "-count", strconv.Itoa(runs), "-timeout", "30m", "./"+pkg)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("running the benchmarks of %s: %w\n%s", pkg, err, out)
	}
	return parseBenchmarks(string(out))
}

// parseBenchmarks reads the output of go test -bench.
func parseBenchmarks(out string) (map[string][]float64, error) {
	values := map[string][]float64{}
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(fields[0], "Benchmark"), "-")
		for i := 2; i+1 < len(fields); i += 2 {
			n, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return nil, fmt.Errorf("reading %q: %w", line, err)
			}
			key := name + " " + fields[i+1]
			values[key] = append(values[key], n)
		}
	}
	return values, nil
}

// lacking says which value none of the benchmarks gave.
func lacking(values map[string][]float64, wanted []string) error {
	if i := slices.IndexFunc(wanted, func(k string) bool { return len(values[k]) == 0 }); i >= 0 {
		return fmt.Errorf("the benchmarks gave no %s", wanted[i])
	}
	return nil
}

func judgingOf(values map[string][]float64) (judging, error) {
	wanted := []string{"JudgeSeen cpu-ns/op", "JudgeUnseen cpu-ns/op", "Load cpu-ns/op", "JudgeSeen rules"}
	if err := lacking(values, wanted); err != nil {
		return judging{}, err
	}
	duration := func(key string) time.Duration { return time.Duration(median(values[key])) }
	return judging{seen: duration(wanted[0]), unseen: duration(wanted[1]), load: duration(wanted[2]), rules: int(values[wanted[3]][0])}, nil
}
