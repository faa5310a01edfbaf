package gate

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/collect"
	"github.com/plimsoll/plimsoll/internal/rule"
	"github.com/plimsoll/plimsoll/internal/trail"
)

// RunConfig says what a gate is run with.
type RunConfig struct {
	// Config is without Policy and Trail.
	Config
	// Listen is the path of the socket that clients connect to; where Listener is set, it
	// is that one.
	Listen   string
	Listener net.Listener
	// Group is the group that may connect, -1 for that of the process; root always may.
	Group int
	// Rules are those that policies may name. PolicyFile is read at the start, and again
	// at each Reload; "" is the policy that stands where there is no file.
	Rules      *rule.Set
	PolicyFile string
	Reload     <-chan struct{}
	// Trail is the gate's own.
	Trail trail.Config
	// Ready is called once clients can connect.
	Ready func()
}

// policyEvent is the type of the event that another policy stands, or was refused.
const policyEvent = "policy"

// ErrListening says that another process listens at the path; who starts a gate branches
// on it.
var ErrListening = errors.New("another process listens there")

// Run runs a gate until ctx is done, for which it gives nil. The errors are those of the
// policy file (*strict.Error), of looking at the engine (*engine.Error), of the trail, and
// ErrListening.
func Run(ctx context.Context, c RunConfig) error {
	policy, digest, err := c.policy()
	if err != nil {
		return err
	}
	l, err := trail.Open(c.Trail)
	if err != nil {
		return err
	}
	c.Config.Policy, c.Config.Trail = policy, l
	c.Own = append(c.Own, c.Trail.Dir)
	if c.Verdicts != "" {
		c.Own = append(c.Own, string(c.Verdicts))
	}
	if c.PolicyFile != "" {
		c.Own = append(c.Own, c.PolicyFile)
	}
	return errors.Join(c.run(ctx, l, digest), l.Close())
}

func (c *RunConfig) run(ctx context.Context, l *trail.Log, digest string) error {
	g, err := New(c.Config)
	if err != nil {
		return err
	}
	defer g.Close()
	// An engine that can't be asked now is better told of now; but where systemd has clients
	// wait for this gate, they are to be told.
	if err := g.around.use(ctx, func(*collect.World) error { return nil }); err != nil {
		if c.Listener == nil || ctx.Err() != nil {
			return err
		}
		g.log("%v", err)
	}
	listener := c.Listener
	if listener == nil {
		if listener, err = listen(c.Listen, c.Group); err != nil {
			return err
		}
	}
	g.policyStands(ctx, c.PolicyFile, digest, nil)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		for {
			select {
			case <-c.Reload:
				policy, digest, err := c.policy()
				if err == nil {
					g.SetPolicy(policy)
				}
				g.policyStands(ctx, c.PolicyFile, digest, err)
			case <-ctx.Done():
				return
			}
		}
	}()
	if c.Ready != nil {
		c.Ready()
	}
	err = g.Serve(ctx, listener)
	g.recordCounts(context.WithoutCancel(ctx))
	return err
}

// policy reads the policy file, and gives its digest.
func (c *RunConfig) policy() (*Policy, string, error) {
	if c.PolicyFile == "" {
		p, err := DefaultPolicy(c.Rules)
		return p, "", err
	}
	data, err := os.ReadFile(c.PolicyFile)
	if err != nil {
		return nil, "", fmt.Errorf("reading the policy: %w", err)
	}
	p, err := ReadPolicy(c.PolicyFile, data, c.Rules)
	return p, fmt.Sprintf("sha256:%x", sha256.Sum256(data)), err
}

// policyStands records that a policy stands, or was refused, so that the one before does.
func (g *Gate) policyStands(ctx context.Context, file, digest string, refused error) {
	detail := map[string]any{"file": file, "digest": digest, "mode": string(g.mode(g.policy.Load()))}
	if refused != nil {
		detail["refused"] = trail.Clip(refused.Error(), maxPath)
		g.log("the policy is refused, and the one before stands: %v", refused)
	}
	if _, err := g.trail.Append(ctx, trail.Event{Type: policyEvent, Subject: trail.Subject{Kind: "policy", Name: trail.Clip(file, maxPath)}, Detail: detail}); err != nil {
		g.log("recording that the policy was read: %v", err)
	}
}

// listen makes a socket that root and one group may connect to. One that nobody listens
// on any more is taken away.
func listen(path string, group int) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	if info, err := os.Lstat(path); err == nil {
		if info.Mode()&fs.ModeSocket == 0 {
			return nil, fmt.Errorf("%s is there, and is no socket", path)
		}
		if c, err := net.Dial("unix", path); err == nil {
			c.Close()
			return nil, fmt.Errorf("%s: %w", path, ErrListening)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	// Between bind(2) and chmod(2) nobody else may connect.
	old := unix.Umask(0o177)
	l, err := net.Listen("unix", path)
	unix.Umask(old)
	if err != nil {
		return nil, err
	}
	if group >= 0 {
		err = os.Lchown(path, -1, group)
	}
	if err == nil {
		err = os.Chmod(path, 0o660)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}
