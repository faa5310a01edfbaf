package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// front is where clients ask: the engine's own socket, or a program that stands
// before it.
type front struct {
	name   string
	socket string
	argv   []string // empty for the engine's own socket
	cmd    *exec.Cmd
	said   string // the file that the program's standard error is in
	ended  chan error
}

// The fronts that are always there are the first, in this order; peers follow.
const (
	bare = iota
	reverse
	gated
	peers
)

// fronts are the sockets that are measured, with how the programs behind them are
// started. All let pass what is measured, and none writes about each request, but for
// the gate, which records in the folder state what changes something.
func (b *bench) fronts(state string) ([]*front, error) {
	at := func(name string) string { return filepath.Join(b.dir, name+".sock") }
	list := []*front{
		bare:    {name: "engine", socket: b.socket},
		reverse: {name: "reverse proxy", socket: at("reverse"), argv: []string{b.program("reverse"), at("reverse"), b.socket}},
		gated: {name: "gate", socket: at("gate"), argv: []string{b.program("plimsoll-gate"), "-mode", "enforce", "-listen", "unix://" + at("gate"), "-upstream", "unix://" + b.socket,
			"-state", state}},
	}
	if b.socketProxy != "" {
		list = append(list, &front{name: "socket-proxy", socket: at("socket-proxy"), argv: []string{b.socketProxy,
			"-socketpath", b.socket, "-proxysocketendpoint", at("socket-proxy"), "-allowGET", ".*", "-allowPOST", ".*/containers/create", "-shutdowngracetime", "1"}})
	}
	if b.sockguard != "" {
		config := filepath.Join(b.dir, "sockguard.yaml")
		if err := os.WriteFile(config, fmt.Appendf(nil, sockguardConfig, at("sockguard"), b.socket), 0o600); err != nil {
			return nil, err
		}
		list = append(list, &front{name: "sockguard", socket: at("sockguard"), argv: []string{b.sockguard, "serve", "--config", config}})
	}
	return list, nil
}

// sockguardConfig has it do no more than is measured: it masks nothing in answers.
const sockguardConfig = `listen:
  socket: %s
upstream:
  socket: %s
log:
  level: warn
  access_log: false
response:
  redact_container_env: false
  redact_mount_paths: false
  redact_network_topology: false
  redact_sensitive_data: false
insecure_allow_read_exfiltration: true
rules:
  - match: {method: GET, path: "/**"}
    action: allow
  - match: {method: POST, path: "/containers/create"}
    action: allow
  - match: {method: "*", path: "/**"}
    action: deny
`

// onDisk makes a folder that is on a disk: what is made durable in memory costs nothing.
func onDisk() (string, error) {
	dir, err := os.MkdirTemp("/var/tmp", "plimsoll-bench-") // which outlives a restart (FHS 3.0, section 5.15)
	if err != nil {
		return "", err
	}
	var fs syscall.Statfs_t
	err = syscall.Statfs(dir, &fs)
	if err == nil && fs.Type == 0x01021994 { // TMPFS_MAGIC of statfs(2)
		err = errors.New("/var/tmp is in memory, so that a trail there costs nothing")
	}
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, nil
}

// begin is how long a program may take until it answers.
const begin = 30 * time.Second

// start starts the program and waits until it answers as the engine does.
func (f *front) start(dir string) error {
	if len(f.argv) == 0 {
		return nil
	}
	said, err := os.CreateTemp(dir, "front-")
	if err != nil {
		return err
	}
	defer said.Close()
	f.said, f.ended = said.Name(), make(chan error, 1)
	f.cmd = exec.Command(f.argv[0], f.argv[1:]...)
	f.cmd.Stdout, f.cmd.Stderr = said, said
	if err := f.cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", f.name, err)
	}
	go func() { f.ended <- f.cmd.Wait() }()
	ping := newRequest("_ping", http.MethodGet, "/_ping", nil, http.StatusOK)
	for end := time.Now().Add(begin); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		l := &line{socket: f.socket}
		status, err := l.ask(ping, io.Discard)
		l.hangUp()
		if err == nil && status == ping.status {
			return nil
		}
		select {
		case err := <-f.ended:
			f.ended <- err
			return f.trouble(fmt.Errorf("it ended: %w", err))
		default:
		}
	}
	return errors.Join(f.trouble(fmt.Errorf("it does not answer within %v", begin)), f.stop())
}

// trouble is an error with what the program said.
func (f *front) trouble(err error) error {
	said, _ := os.ReadFile(f.said)
	return fmt.Errorf("%s: %w\n%s", strings.Join(f.argv, " "), err, bytes.TrimSpace(said))
}

// stop ends the program, which has a few seconds for it.
func (f *front) stop() error {
	if f.cmd == nil {
		return nil
	}
	defer func() { f.cmd = nil }()
	if err := f.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return f.trouble(err)
	}
	select {
	case <-f.ended: // however: that is not what is measured
		return nil
	case <-time.After(10 * time.Second):
	}
	if err := f.cmd.Process.Kill(); err != nil {
		return f.trouble(err)
	}
	<-f.ended
	return nil
}

// resident is the program's memory: VmRSS of proc_pid_status(5), in bytes.
func (f *front) resident() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", f.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	kib, err := strconv.ParseInt(strings.TrimSuffix(valueIn(string(status), "VmRSS", ":"), " kB"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading the memory of %s: %w", f.name, err)
	}
	return kib << 10, nil
}
