package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// machine is where it was measured, and with what.
type machine struct {
	cpu    string
	cpus   int
	memory string
	system string // with its kernel
	load   string
	goes   string // Go's version
	commit string // plimsoll's
}

func describeMachine() (machine, error) {
	m := machine{cpus: runtime.NumCPU(), goes: runtime.Version()}
	cpuinfo, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return m, err
	}
	m.cpu = valueIn(string(cpuinfo), "model name", ":")
	meminfo, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return m, err
	}
	var kib int64
	if _, err := fmt.Sscanf(valueIn(string(meminfo), "MemTotal", ":"), "%d kB", &kib); err != nil {
		return m, fmt.Errorf("reading /proc/meminfo: %w", err)
	}
	m.memory = fmt.Sprintf("%.0f GiB", float64(kib)/(1<<20))
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return m, err
	}
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return m, err
	}
	m.system = strings.Trim(valueIn(string(release), "PRETTY_NAME", "="), `"`) + ", Linux " + string(bytes.TrimSpace(kernel))
	if m.load, err = loadAverage(); err != nil {
		return m, err
	}
	m.commit, err = commit()
	return m, err
}

// valueIn is what stands behind key and mark in a file of such lines.
func valueIn(text, key, mark string) string {
	for line := range strings.Lines(text) {
		name, value, found := strings.Cut(line, mark)
		if found && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// loadAverage is the mean number of processes that wanted a processor in the
// last minute.
func loadAverage() (string, error) {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "", err
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first, nil
}

// commit is the checkout's, and says whether it was changed since.
func commit() (string, error) {
	id, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "", fmt.Errorf("asking git for the commit: %w", err)
	}
	changes, err := exec.Command("git", "status", "--porcelain").Output()
	if err != nil {
		return "", fmt.Errorf("asking git for changes: %w", err)
	}
	text := string(bytes.TrimSpace(id))
	if len(changes) > 0 {
		text += " with changes"
	}
	return text, nil
}
