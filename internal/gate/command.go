package gate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/accounts"
	"github.com/plimsoll/plimsoll/internal/collect"
	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/rule"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/systemd"
	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/internal/verdict"
	"github.com/plimsoll/plimsoll/internal/workload"
	"github.com/plimsoll/plimsoll/rules"
)

// Command is a gate as a command line asks for it; plimsoll gate and plimsoll-gate are
// the same.
type Command struct {
	// Listen and Upstream are unix:///PATH: of the socket that clients connect to, and of
	// the engine's own. Listen may be HandedOver.
	Listen, Upstream string
	// Mode, Policy, Rules and Group may be empty: then the policy says the mode, there is
	// no policy file, no folder of rules of the user's own, and no group but DefaultGroup,
	// where there is one.
	Mode, Policy, Rules, Group string
	// State is the folder that the gate's trail is in, in TrailFolder.
	State string
}

// The values of a command line that leaves them out.
const (
	DefaultListen   = "unix:///run/plimsoll/docker.sock"
	DefaultUpstream = "unix:///var/run/docker.sock"
	DefaultGroup    = "docker"
	// HandedOver is the Listen of a gate that takes its socket from systemd.
	HandedOver = "fd://"
	// TrailFolder is apart from the trail of plimsoll serve: each has one writer.
	TrailFolder = "gate"
	// VerdictFolder has what is known of images, as package verdict has it.
	VerdictFolder = "verdicts"
)

// World is what a Command needs of the program that runs it.
type World struct {
	Now func() time.Time
	// Host names this host; its gate's trail is named after it.
	Host string
	// Reload has the policy file read again.
	Reload <-chan struct{}
	// Log is told what a person should know. Names in it may hold anything.
	Log func(format string, args ...any)
	// Systemd is asked for the socket where that is HandedOver, and told when clients can
	// connect.
	Systemd systemd.Env
}

// Failure is why a Command does not run, and what to do.
type Failure struct {
	// Usage says that the command line, or a file that it names, is wrong; otherwise it
	// could not be done.
	Usage         bool
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

// Check checks the command line, the rules and the policy. The error is a *Failure.
func (c *Command) Check() error {
	set, err := c.rules()
	if err != nil {
		return err
	}
	if _, err := c.config(set, World{}); err != nil {
		return err
	}
	r := RunConfig{Rules: set, PolicyFile: c.Policy}
	if _, _, err := r.policy(); err != nil {
		return c.explain(err)
	}
	return nil
}

// Run runs the gate until ctx is done. The error is a *Failure.
func (c *Command) Run(ctx context.Context, w World) error {
	set, err := c.rules()
	if err != nil {
		return err
	}
	r, err := c.config(set, w)
	if err != nil {
		return err
	}
	client, err := engine.New(engine.Config{Endpoint: engine.Endpoint{Address: "unix://" + r.Engine, Source: "--upstream"}})
	if err != nil {
		return c.explain(err)
	}
	defer client.Close()
	r.Around.Client = client
	if c.Listen == HandedOver {
		if r.Listener, err = w.Systemd.Listener(); err != nil {
			return c.explain(err)
		}
		defer r.Listener.Close()
	}
	if err := Run(ctx, r); err != nil && ctx.Err() == nil {
		return c.explain(err)
	}
	return nil
}

func (c *Command) rules() (*rule.Set, error) {
	var theirs fs.FS
	if c.Rules != "" {
		theirs = os.DirFS(c.Rules)
	}
	set, err := rule.LoadToJudge(rules.Packed, theirs, c.Rules)
	if err != nil {
		return nil, &Failure{Usage: true, Message: "the rules can't be used", Err: err}
	}
	return set, nil
}

// config is what the gate is run with, but for the engine's Client.
func (c *Command) config(set *rule.Set, w World) (RunConfig, error) {
	var listen string
	if c.Listen != HandedOver {
		var err error
		if listen, err = socketPath("--listen", c.Listen); err != nil {
			return RunConfig{}, err
		}
	}
	upstream, err := socketPath("--upstream", c.Upstream)
	if err != nil {
		return RunConfig{}, err
	}
	mode := Mode(c.Mode)
	if mode != "" && mode != Observe && mode != Enforce {
		return RunConfig{}, &Failure{Usage: true, Message: fmt.Sprintf("--mode is %q", c.Mode), Hint: "Say  --mode observe  or  --mode enforce"}
	}
	groups := groupNamed()
	group := -1
	if gid, found := groups(c.Group); found {
		group = int(gid)
	} else if c.Group != "" && c.Group != DefaultGroup {
		return RunConfig{}, &Failure{Usage: true, Message: "there is no group " + c.Group, Hint: "Name another with  --group GROUP"}
	}
	// What cannot be told of a container around is taken for none.
	home, _ := workload.FindHome("/")
	r := RunConfig{
		Listen: listen, Group: group, Rules: set, PolicyFile: c.Policy, Reload: w.Reload,
		Trail: trail.Config{Dir: c.trailDir(), Name: w.Host + "-gate", Now: w.Now},
		Config: Config{Engine: upstream, Verdicts: verdict.Folder(filepath.Join(c.State, VerdictFolder)), Mode: mode, Now: w.Now, Groups: groups, Log: w.Log,
			Around: collect.Config{Now: w.Now, Root: "/", Home: home}},
	}
	if w.Log != nil {
		r.Ready = func() {
			w.Log("listening on %s", c.Listen)
			if err := w.Systemd.Ready(); err != nil {
				w.Log("%v", err)
			}
		}
	}
	return r, nil
}

func (c *Command) trailDir() string { return filepath.Join(c.State, TrailFolder) }

// groupNamed finds groups of this host by their names, by its files.
func groupNamed() func(string) (uint32, bool) {
	data, err := os.ReadFile("/etc/group")
	if err != nil {
		data = nil // nobody is in a group by name, then
	}
	book := accounts.Read(nil, data)
	return func(name string) (uint32, bool) {
		g, found := book.GroupNamed(name)
		return g.GID, found
	}
}

// socketPath is the path in unix:///PATH.
func socketPath(flag, url string) (string, error) {
	path, ok := strings.CutPrefix(url, "unix://")
	if !ok || !filepath.IsAbs(path) {
		return "", &Failure{Usage: true, Message: fmt.Sprintf("%s is %q", flag, url), Hint: "Name a socket, such as  unix:///run/plimsoll/docker.sock"}
	}
	return filepath.Clean(path), nil
}

// explain says what to do about what keeps a gate from standing.
func (c *Command) explain(err error) error {
	f, wrong, far := &Failure{Message: "the gate can't stand", Err: err}, new(strict.Error), new(engine.Error)
	switch {
	case errors.As(err, &wrong):
		f.Usage, f.Message = true, "the policy is not right"
	case errors.As(err, &far):
		f.Message, f.Hint = "the engine can't be asked", far.Hint()
	case errors.Is(err, ErrListening):
		f.Message, f.Hint = "another process listens on "+c.Listen, "End it first, or name another socket with  --listen unix:///PATH"
	case errors.Is(err, systemd.ErrNoSocket):
		f.Usage, f.Hint = true, "It is for a unit that a .socket unit belongs to; otherwise name a socket with  --listen unix:///PATH"
	case errors.Is(err, trail.ErrLocked):
		f.Message, f.Hint = "another gate records in "+c.trailDir(), "End it first, or give this one a folder of its own with  --state DIR"
	case errors.Is(err, fs.ErrNotExist) && c.Policy != "":
		f.Usage, f.Message, f.Hint = true, "the policy can't be read", "Write it, or leave out --policy"
	case errors.Is(err, fs.ErrPermission):
		f.Hint = "Run it as root, or name folders of your own with  --state DIR  and  --listen"
	}
	return f
}
