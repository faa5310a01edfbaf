// Package install makes the gate a part of a host that systemd runs, and takes it away
// again.
//
// [Host.Look] tells what is there and whether it can be done, and gives a [Plan];
// [Host.Install] carries that out and tries a request, and puts everything back if one of
// them fails; [Host.Uninstall] puts everything back from a [Record], which is written
// before anything else is changed. Each step may be done again, so that after a kill in
// the middle either of the two goes on. [WithMode] changes the mode of a policy file.
//
// The engine goes on running, and so do its containers. Its socket gets a second name, a
// hard link in a folder that only root and the gate's user may enter, and docker.socket
// gets that name by a drop-in. systemd keeps a socket at daemon-reload whose old and new
// path are the same file (its socket_address_equal), so it is this one that the engine gets
// at its next start, too. Then plimsoll-gate.socket binds the path that clients know;
// systemd takes the engine's name there away for that. Nothing of the distribution's is
// edited.
//
// It does not handle engines that make their socket themselves, rootless ones, and hosts
// without systemd: it says what to do there.
//
// It follows systemd.unit(5), systemd.socket(5), sysusers.d(5) and tmpfiles.d(5).
package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Host is the machine, as it comes in.
type Host struct {
	// Root is the folder that all paths but the program's are below, "/" but in tests.
	Root string
	// State is plimsoll's own folder, that has the record and the gate's trail.
	State string
	// Policy is the file that the gate is to be ruled by.
	Policy string
	// Program is the command that is the gate, without flags: the path of plimsoll-gate, or
	// that of plimsoll and "gate".
	Program []string
	// UID is who runs this.
	UID int
	Now func() time.Time
	// Run runs a program of the host and gives what it printed; nil is Command.
	Run func(ctx context.Context, name string, args ...string) (string, error)
	// Standing waits until the gate's trail says that it is ruled by the policy file with a
	// digest, "sha256:" and 64 digits, and gives its mode.
	Standing func(ctx context.Context, digest string) (mode string, err error)
	// Say is told each thing that is done.
	Say func(text string)

	changed bool // a file of the gate's units
}

// Failure is why something was not done, and what to do.
type Failure struct {
	Message, Hint string
	Err           error
}

func (f *Failure) Error() string {
	if f.Err == nil {
		return f.Message
	}
	return f.Message + ": " + f.Err.Error()
}

// Unwrap is the cause, or nil.
func (f *Failure) Unwrap() error { return f.Err }

// The names that the gate has on the host.
const (
	// EngineFolder is entered by root and the gate's user alone. Its file EngineSocket is
	// the engine's own.
	EngineFolder = "/run/plimsoll-engine"
	EngineSocket = EngineFolder + "/docker.sock"
	// User is who the gate runs as, and their group.
	User = "plimsoll-gate"
	// Service and Socket are the gate's units.
	Service = "plimsoll-gate.service"
	Socket  = "plimsoll-gate.socket"

	dockerSocket  = "docker.socket"
	dockerService = "docker.service"
)

// at is where a path of the host is.
func (h *Host) at(path string) string { return filepath.Join(h.Root, path) }

func (h *Host) say(format string, args ...any) {
	if h.Say != nil {
		h.Say(fmt.Sprintf(format, args...))
	}
}

// patience is how long one program may take; starting the gate takes as long as the
// engine needs to answer.
const patience = 90 * time.Second

// Command runs a program, out of reach of what is typed at the terminal, and gives what it
// wrote to standard output.
func Command(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var out, said strings.Builder
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr, cmd.Stdin = &out, &said, nil
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if err == nil {
		return out.String(), nil
	}
	line := strings.Join(append([]string{name}, args...), " ")
	if ctx.Err() != nil {
		return out.String(), fmt.Errorf("%s: %w", line, context.Cause(ctx))
	}
	if text := strings.TrimSpace(said.String()); text != "" {
		return out.String(), fmt.Errorf("%s: %s", line, text)
	}
	return out.String(), fmt.Errorf("%s: %w", line, err)
}

func (h *Host) run(ctx context.Context, name string, args ...string) (string, error) {
	if h.Run != nil {
		return h.Run(ctx, name, args...)
	}
	return Command(ctx, name, args...)
}

// Install carries out a plan. If a step fails, or the gate does not pass the trial, all is
// as before: where there was none, no gate, and else the one that was installed. The error,
// a *Failure, says why, and what could not be put back.
func (h *Host) Install(ctx context.Context, p *Plan) error {
	for _, s := range p.steps {
		err := ctx.Err()
		if err == nil {
			h.say("%s", s.says)
			err = s.do(ctx)
		}
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		f := &Failure{Message: "the gate was not installed, and everything is as it was", Hint: seeLog, Err: fmt.Errorf("%s: %w", s.says, err)}
		var known *Failure
		if errors.As(err, &known) {
			f.Err, f.Hint = known, known.Hint
		}
		h.say("that did not work; putting everything back")
		if undone := p.undo(context.WithoutCancel(ctx)); undone != nil {
			f.Message = "the gate was not installed, and not everything could be put back"
			f.Err, f.Hint = errors.Join(f.Err, undone), "Mend that, then  plimsoll gate uninstall"
		}
		return f
	}
	return nil
}

const seeLog = "What it said:  journalctl -u " + Service + " -n 20"

// Uninstall puts everything back that an install has changed, whether the gate runs or
// not, and however far the install had come. The error is a *Failure.
func (h *Host) Uninstall(ctx context.Context) error {
	if h.UID != 0 {
		return notRoot("gate uninstall")
	}
	r, err := h.ReadRecord()
	if err != nil {
		return err
	}
	if err := h.putBack(ctx, r); err != nil {
		return &Failure{Message: "not everything could be put back", Hint: "Mend that, then again  plimsoll gate uninstall", Err: err}
	}
	return nil
}

func notRoot(command string) error {
	return &Failure{Message: command + " changes units of systemd: only root may", Hint: "sudo plimsoll " + command}
}

// Print writes what a plan would do.
func (p *Plan) Print(w io.Writer) error {
	var b strings.Builder
	for _, note := range p.Notes {
		fmt.Fprintf(&b, "note: %s\n", note)
	}
	for i, s := range p.steps {
		fmt.Fprintf(&b, "%2d. %s\n", i+1, s.says)
	}
	for _, f := range p.files {
		if f.target != "" {
			fmt.Fprintf(&b, "\n--- %s is a link to %s\n", f.path, f.target)
			continue
		}
		fmt.Fprintf(&b, "\n--- %s\n%s", f.path, f.text)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
