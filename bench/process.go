package main

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// command is a program to measure.
type command struct {
	argv  []string
	dir   string
	env   []string // beside this process's own
	stdin string
	// exits are the exit codes that count as done; none means 0.
	exits []int
}

// usage is what one run of a program took.
type usage struct {
	wall, cpu time.Duration
	// peakBytes is the largest resident size. Linux counts the parent's own
	// size at the moment of starting into it, so it is never below that.
	peakBytes int64
}

// measure runs c once, from before it is started to after it has ended.
func measure(c command) (usage, error) {
	cmd := exec.Command(c.argv[0], c.argv[1:]...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Stdin = nil
	if c.stdin != "" {
		file, err := os.Open(c.stdin)
		if err != nil {
			return usage{}, err
		}
		defer file.Close()
		cmd.Stdin = file
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	started := time.Now()
	err := cmd.Run()
	wall := time.Since(started)
	var exit *exec.ExitError
	if errors.As(err, &exit) && slices.Contains(c.exits, exit.ExitCode()) {
		err = nil
	}
	if err != nil {
		return usage{}, fmt.Errorf("running %s: %w\n%s", strings.Join(c.argv, " "), err, stderr.Bytes())
	}
	rusage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return usage{}, errors.New("this system does not tell what a process used")
	}
	return usage{wall: wall, cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), peakBytes: rusage.Maxrss << 10}, nil
}

// comparison is two programs, run in turn.
type comparison struct {
	ours, theirs []usage
}

// compare runs both n times, one after the other, and lets each be the first
// of a pair as often as the other, so that a load from elsewhere meets both.
// A first pair is run and not counted.
func compare(ours, theirs command, n int) (comparison, error) {
	var c comparison
	for i := range n + 1 {
		order := []*command{&ours, &theirs}
		if i%2 == 1 {
			slices.Reverse(order)
		}
		for _, one := range order {
			u, err := measure(*one)
			switch {
			case err != nil:
				return comparison{}, err
			case i == 0:
			case one == &ours:
				c.ours = append(c.ours, u)
			default:
				c.theirs = append(c.theirs, u)
			}
		}
	}
	return c, nil
}

func wallOf(u usage) float64 { return u.wall.Seconds() }
func cpuOf(u usage) float64  { return u.cpu.Seconds() }

// ratio is the median over all pairs of ours by theirs.
func (c comparison) ratio(of func(usage) float64) float64 {
	ratios := make([]float64, len(c.ours))
	for i := range c.ours {
		ratios[i] = of(c.ours[i]) / of(c.theirs[i])
	}
	return median(ratios)
}

// middle is the median of one side.
func middle[T any](all []T, of func(T) float64) float64 {
	values := make([]float64, len(all))
	for i, u := range all {
		values[i] = of(u)
	}
	return median(values)
}

// median of no values is not a number.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}
