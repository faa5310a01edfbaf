package gate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/plimsoll/plimsoll/internal/caller"
	"github.com/plimsoll/plimsoll/internal/collect"
	"github.com/plimsoll/plimsoll/internal/http1"
	"github.com/plimsoll/plimsoll/internal/relay"
	"github.com/plimsoll/plimsoll/internal/verdict"
)

// Config is what a gate is made of. All but Mode, Groups and Log are required.
type Config struct {
	// Engine is the path of the engine's own socket, which requests are passed on to.
	Engine string
	// Around says how the engine and its host are looked at; its Client asks that engine.
	Around collect.Config
	Policy *Policy
	// Mode is what the gate does about refusals; "" is what the policy says, and where
	// that says nothing, Observe.
	Mode  Mode
	Trail Recorder
	// Verdicts are what is known of images.
	Verdicts verdict.Folder
	// Own are files and folders of the gate's, which no container may have.
	Own []string
	Now func() time.Time
	// Groups gives the number of a group by its name.
	Groups func(name string) (gid uint32, found bool)
	// Log is told what a person should know. Names in it may hold anything.
	Log func(format string, args ...any)
}

// Gate passes requests to an engine on, but for those that its policy refuses.
type Gate struct {
	c      Config
	client collect.Client
	trail  Recorder
	around *around
	policy atomic.Pointer[Policy]
	says   atomic.Pointer[http1.Fields] // the engine, in every answer
	source caller.Source
	counts counts
}

// New makes a Gate. It asks nothing yet.
func New(c Config) (*Gate, error) {
	if c.Around.Client == nil || c.Engine == "" || c.Policy == nil || c.Trail == nil || c.Now == nil {
		return nil, errors.New("making a gate: Engine, Around, Policy, Trail and Now are required")
	}
	if c.Mode != "" && c.Mode != Observe && c.Mode != Enforce {
		return nil, fmt.Errorf("making a gate: the mode %q is neither observe nor enforce", string(c.Mode))
	}
	g := &Gate{c: c, client: c.Around.Client, trail: c.Trail, around: newAround(c.Around)}
	g.policy.Store(c.Policy)
	return g, nil
}

// SetPolicy has the requests that come from now on decided by another policy.
func (g *Gate) SetPolicy(p *Policy) { g.policy.Store(p) }

func (g *Gate) mode(p *Policy) Mode {
	switch {
	case g.c.Mode != "":
		return g.c.Mode
	case p.Mode != "":
		return p.Mode
	}
	return Observe
}

func (g *Gate) now() time.Time { return g.c.Now() }

func (g *Gate) log(format string, args ...any) {
	if g.c.Log != nil {
		g.c.Log(format, args...)
	}
}

// Serve serves the connections of a listener, of unix sockets or TLS, until ctx ends or the listener fails; the
// error is that one's. Connections that are served then are closed.
func (g *Gate) Serve(ctx context.Context, l net.Listener) error {
	g.around.renew() // so that the first who needs it does not wait
	return relay.Serve(ctx, l, func(err error) { g.log("accepting a connection: %v", err) }, func(ctx context.Context, c relay.Conn) {
		who, err := g.identify(ctx, c)
		if err != nil {
			g.log("telling who calls: %v", err)
			c.Close()
			return
		}
		s := &session{Session: relay.New(c, g.dial, g.now), g: g, who: who}
		s.serve(ctx)
	})
}

func (g *Gate) identify(ctx context.Context, c relay.Conn) (who *identity, err error) {
	var made *caller.Caller
	switch c := c.(type) {
	case *net.UnixConn:
		made, err = g.source.Of(c)
	case *tls.Conn:
		ctx, cancel := context.WithTimeout(ctx, handshakeTime)
		defer cancel()
		if err = c.HandshakeContext(ctx); err == nil {
			made, err = caller.OfTLS(c.ConnectionState(), c.RemoteAddr())
		}
	default:
		err = fmt.Errorf("a %T tells nothing of who made it", c)
	}
	if err != nil {
		return nil, err
	}
	groups := g.c.Groups
	if groups == nil {
		groups = func(string) (uint32, bool) { return 0, false }
	}
	return &identity{Caller: made, unknown: made.Unmapped, groups: groups}, nil
}

// dial connects to the engine.
func (g *Gate) dial(ctx context.Context) (relay.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", g.c.Engine)
	if err != nil {
		return nil, err
	}
	return c.(*net.UnixConn), nil
}

// Close lets go what the gate knows of its engine, once it serves no more.
func (g *Gate) Close() { g.around.close() }
