package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/plimsoll/plimsoll/internal/collect"
	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// fresh is how old what is known of the engine and its host may be; from the age renewed on
// it is looked at anew beside who uses it, so that nobody waits for that while it is used.
const (
	fresh   = 30 * time.Second
	renewed = 20 * time.Second
)

// around knows what containers are judged by that is not their own: the engine and its
// host, looked at now and then, images, looked at for a short time, and volumes.
type around struct {
	cfg collect.Config

	mu sync.Mutex // held for moments: nobody waits for the engine with it
	// seen is nil before the engine was met; at is when it was looked at. All three are owned
	// by mu.
	seen *sight
	at   time.Time
	// staled counts how often what is known was said to be of no use.
	staled int
	turn   chan struct{} // holds one element while somebody looks
	// renewing are those who look beside, until end is called.
	renewing sync.WaitGroup
	lasting  context.Context
	end      context.CancelFunc

	images images
}

// sight is the world as it was at one time, for as long as it is used: whoever asks the
// engine a question that it does not answer must not keep others from looking anew.
type sight struct {
	*collect.World
	users int // owned by the mutex of around, which is one itself until it has a newer one
}

func newAround(c collect.Config) *around {
	a := &around{cfg: c, turn: make(chan struct{}, 1)}
	a.lasting, a.end = context.WithCancel(context.Background())
	return a
}

// use calls f with the world as it was at most fresh ago, or at its last change.
func (a *around) use(ctx context.Context, f func(*collect.World) error) error {
	for {
		if s, age := a.known(); s != nil {
			defer a.letGo(s)
			if age >= renewed {
				a.renew()
			}
			return f(s.World)
		}
		if err := a.look(ctx); err != nil {
			return err
		}
	}
}

// known gives what is known and its age, for as long as it is not let go; nil where it is
// too old.
func (a *around) known() (*sight, time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	age := a.cfg.Now().Sub(a.at)
	if a.seen == nil || age >= fresh {
		return nil, 0
	}
	a.seen.users++
	return a.seen, age
}

// renew has it looked at anew, unless somebody does so; close waits for that. Where it
// fails, who next needs it is told.
func (a *around) renew() {
	select {
	case a.turn <- struct{}{}:
	default:
		return
	}
	a.renewing.Go(func() {
		defer func() { <-a.turn }()
		_ = a.lookNow(a.lasting)
	})
}

// letGo closes what nobody uses any more.
func (a *around) letGo(s *sight) {
	a.mu.Lock()
	s.users--
	unused := s.users == 0
	a.mu.Unlock()
	if unused {
		s.Close()
	}
}

func (a *around) stales() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.staled
}

// replace has another world be used from now on, nil for none. It is of no use where that
// was said since it began to be looked at.
func (a *around) replace(w *collect.World, at time.Time, staled int) {
	a.mu.Lock()
	old := a.seen
	if a.seen, a.at = nil, at; a.staled != staled {
		a.at = time.Time{}
	}
	if w != nil {
		a.seen = &sight{World: w, users: 1}
	}
	a.mu.Unlock()
	if old != nil {
		a.letGo(old)
	}
}

// look looks at the engine and its host again, unless another has just done so.
func (a *around) look(ctx context.Context) error {
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if s, _ := a.known(); s != nil {
		a.letGo(s)
		return nil
	}
	return a.lookNow(ctx)
}

// lookNow looks at the engine and its host. Whose turn it is calls it.
func (a *around) lookNow(ctx context.Context) error {
	at, staled := a.cfg.Now(), a.stales()
	world, err := collect.LookAround(ctx, a.cfg)
	if err != nil {
		return fmt.Errorf("looking at the engine: %w", err)
	}
	a.replace(world, at, staled)
	return nil
}

// stale has the next use look again: the engine is another, or has begun anew.
func (a *around) stale() {
	a.mu.Lock()
	a.at = time.Time{}
	a.staled++
	a.mu.Unlock()
	a.images.forget()
}

// asked makes facts of a container that is asked for. An image that the engine has not
// got is not an error: the engine will say so.
//
// It gives the volumes that there were, too.
func (a *around) asked(ctx context.Context, body *workload.CreateBody) (f *facts.Facts, image *collect.Image, volumes map[string]workload.Volume, err error) {
	err = a.use(ctx, func(w *collect.World) error {
		if body.Image != "" { // of what is only like a container
			if image, err = a.image(ctx, w, body.Image); err != nil {
				return err
			}
		}
		if h := &body.HostConfig; len(h.Binds)+len(h.Mounts)+len(h.VolumesFrom) == 0 && h.VolumeDriver == "" {
			volumes = map[string]workload.Volume{} // it names none
		} else if volumes, err = w.Volumes(ctx); err != nil {
			return err
		}
		if f, err = w.Asked(body, image, volumes); err != nil {
			return err
		}
		return a.finish(ctx, f)
	})
	return f, image, volumes, err
}

// made makes facts of a container that is there, of its description, with the exec
// sessions that it is to be judged with.
func (a *around) made(ctx context.Context, i *inspect, execs []workload.Exec) (f *facts.Facts, err error) {
	err = a.use(ctx, func(w *collect.World) error {
		image, err := a.image(ctx, w, i.Image)
		if err != nil {
			return err
		}
		volumes := map[string]workload.Volume{}
		if len(i.Mounts) > 0 {
			if volumes, err = w.Volumes(ctx); err != nil {
				return err
			}
		}
		if f, err = w.Made(i.read, image, volumes, execs); err != nil {
			return err
		}
		return a.finish(ctx, f)
	})
	return f, err
}

// finish makes facts of what the engine says in a way that a client had a say in.
func (a *around) finish(ctx context.Context, f *facts.Facts) error {
	if f.Daemon.ContainerdImages || unseen(f, "daemon.containerd_images") { // then a digest does not prove where an image came from
		f.Containers[0].Image.Digests = []string{}
	}
	return a.join(ctx, &f.Containers[0])
}

// unseen says whether a fact of the engine was not observed.
func unseen(f *facts.Facts, path string) bool {
	return slices.ContainsFunc(f.Unseen, func(u workload.Unseen) bool { return u.Path == path || u.Path == "daemon" })
}

// maxJoins is how many containers may join one another's namespaces, one after the other.
const maxJoins = 8

// join finds out whose namespaces a container really gets where it joins another's: of
// one that shares the host's it gets the host's. What is not there cannot be joined. An
// engine looks a name up once, when it makes the container (moby's adaptSharedNamespaceContainer).
func (a *around) join(ctx context.Context, s *workload.Spec) error {
	for _, kind := range []struct {
		mode *string
		of   func(*joined) string
	}{
		{&s.Namespaces.PID, func(j *joined) string { return j.HostConfig.PidMode }},
		{&s.Namespaces.IPC, func(j *joined) string { return j.HostConfig.IpcMode }},
		{&s.Namespaces.Network, func(j *joined) string { return j.HostConfig.NetworkMode }},
	} {
		mode := *kind.mode
		for n := 0; ; n++ {
			name, joins := strings.CutPrefix(mode, "container:")
			if !joins || name == "" {
				break
			}
			if n == maxJoins {
				return fmt.Errorf("finding whose namespaces %s joins: too many containers join one another", s.DisplayName())
			}
			raw, err := a.cfg.Client.ContainerInspect(ctx, name)
			if errors.Is(err, engine.ErrNotFound) {
				break
			}
			if err != nil {
				return err
			}
			var other joined
			if _, err := strict.Decode("the engine's inspect answer", raw, &other); err != nil {
				return err
			}
			mode = kind.of(&other)
		}
		if mode == "host" {
			*kind.mode = "host"
		}
	}
	return nil
}

// joined is what is read of a container that another joins.
type joined struct {
	HostConfig struct{ PidMode, IpcMode, NetworkMode string }
}

// image is an image by its name or id, nil where the engine has none of that name. A name
// may have come to mean another image a moment ago: what is made of it is judged by its id.
func (a *around) image(ctx context.Context, w *collect.World, name string) (*collect.Image, error) {
	now := a.cfg.Now()
	if i := a.images.have(name, now); i != nil {
		return i, nil
	}
	since := a.images.since()
	i, err := w.Image(ctx, name)
	if errors.Is(err, engine.ErrNotFound) {
		return nil, nil
	}
	if err == nil {
		a.images.keep(since, now, i, name, i.ID())
	}
	return i, err
}

const (
	// freshImage is how old what is known of an image may be: an id stands for the same
	// image always, but the names that it has at registries may become more.
	freshImage = 5 * time.Second
	maxImages  = 64
)

// images are those that were looked at lately, by names and ids. Its zero value is right.
type images struct {
	mu   sync.Mutex
	list map[string]seenImage
	// forgotten counts how often all were forgotten: what was asked for before is not kept.
	forgotten int
}

type seenImage struct {
	*collect.Image
	at time.Time
}

func (m *images) have(name string, now time.Time) *collect.Image {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, found := m.list[name]
	if age := now.Sub(i.at); !found || age < 0 || age >= freshImage {
		return nil
	}
	return i.Image
}

func (m *images) since() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.forgotten
}

func (m *images) keep(since int, at time.Time, i *collect.Image, names ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if since != m.forgotten {
		return
	}
	if m.list == nil || len(m.list) > maxImages {
		m.list = map[string]seenImage{}
	}
	for _, name := range names {
		m.list[name] = seenImage{i, at}
	}
}

// forget forgets all, because images may have become others.
func (m *images) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list = nil
	m.forgotten++
}

func (a *around) close() {
	a.end()
	a.renewing.Wait()
	a.replace(nil, time.Time{}, a.stales())
}
