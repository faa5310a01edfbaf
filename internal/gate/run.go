package gate

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"github.com/plimsoll/plimsoll/internal/collect"
	"github.com/plimsoll/plimsoll/internal/rule"
	"github.com/plimsoll/plimsoll/internal/trail"
)

// RunConfig says what a gate is run with.
type RunConfig struct {
	// Config is without Policy and Trail.
	Config
	// Listen is where clients connect.
	Listen []Address
	// Group is the group that may connect to a unix socket, -1 for that of the process;
	// root always may.
	Group int
	// Certificates are needed where clients connect over TCP, else nil. They are read at the
	// start, and at each Reload.
	Certificates *Certificates
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

// Run runs a gate until ctx is done, for which it gives nil. The errors are those of the
// policy file (*strict.Error), of looking at the engine (*engine.Error), of the trail, and
// ErrListening.
func Run(ctx context.Context, c RunConfig) error {
	policy, digest, err := c.policy()
	if err != nil {
		return err
	}
	log := c.Log
	if log == nil {
		log = func(string, ...any) {}
	}
	l, err := openLasting(c.Trail, log)
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
	return errors.Join(c.run(ctx, digest), l.Close())
}

func (c *RunConfig) run(ctx context.Context, digest string) error {
	g, err := New(c.Config)
	if err != nil {
		return err
	}
	defer g.Close()
	// An engine that can't be asked now is better told of now; but where systemd has clients
	// wait for this gate, they are to be told.
	if err := g.around.use(ctx, func(*collect.World) error { return nil }); err != nil {
		if !slices.ContainsFunc(c.Listen, func(a Address) bool { return a.Handed != nil }) || ctx.Err() != nil {
			return err
		}
		g.log("%v", err)
	}
	listeners, err := c.listen()
	if err != nil {
		return err
	}
	g.policyStands(ctx, c.PolicyFile, digest, nil)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		hourly := time.NewTicker(countEvery)
		defer hourly.Stop()
		for {
			select {
			case <-hourly.C:
				g.recordCounts(ctx)
			case <-c.Reload:
				policy, digest, err := c.policy()
				if err == nil {
					g.SetPolicy(policy)
				}
				g.policyStands(ctx, c.PolicyFile, digest, err)
				if c.Certificates == nil {
					continue
				}
				if err := c.Certificates.Load(); err != nil {
					g.log("%v; those from before stand", err)
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	if c.Ready != nil {
		c.Ready()
	}
	ended := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() {
			ended <- g.Serve(ctx, l)
			cancel() // none goes on alone
		}()
	}
	for range listeners {
		err = errors.Join(err, <-ended)
	}
	g.recordCounts(context.WithoutCancel(ctx))
	return err
}

// listen opens where clients connect, all or nothing.
func (c *RunConfig) listen() ([]net.Listener, error) {
	if c.Certificates != nil {
		if err := c.Certificates.Load(); err != nil {
			return nil, err
		}
	}
	var listeners []net.Listener
	for i := range c.Listen {
		l, err := c.Listen[i].open(c.Group, c.Certificates)
		if err != nil {
			for _, l := range listeners {
				l.Close()
			}
			return nil, err
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
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
