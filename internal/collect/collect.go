// Package collect looks at one part of the world and returns what it found as
// facts. It never judges: nothing in it knows which value is a good one.
//
// In order of use: [Config] says what to look at and with which means, [Client]
// is what it needs of an engine, and [Engine] makes [facts.Facts] of the engine,
// its containers, images, networks, volumes and swarm.
//
// An engine answers one list, one inspect a container, one inspect a distinct
// image, one a running exec session, and six calls more, or eight where it manages
// a swarm, however many containers there are. The history of images and their layers
// come from its own store, where that is on this machine. Processes come from the
// host's /proc, links from the host's files, and so does what is said of the files
// that the engine depends on: all of it only where the engine provably runs on this
// machine, and through a container's mounts only what they provably show of the host.
//
// What cannot be seen is listed as unseen, with the reason. The package makes
// no change anywhere, does not read the environment or the clock, and reads no
// file of a container.
//
// The standards followed are the Engine API (versions 1.40 to 1.56), proc(5),
// cgroups(7) and path_resolution(7).
package collect

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// Client is what collecting needs of an engine; *engine.Client is one. Its
// methods are called from several goroutines at once. A subject that is not
// there is engine.ErrNotFound; an *engine.Error with a Status, or
// engine.ErrTooBig, concerns one answer; after any other error nothing more is
// to be had from the engine.
type Client interface {
	// API is the version of the API that the other calls use.
	API(context.Context) (string, error)
	Version(context.Context) (json.RawMessage, error)
	Info(context.Context) (json.RawMessage, error)
	// ContainerList has all containers, whether they run or not.
	ContainerList(context.Context) ([]json.RawMessage, error)
	ContainerInspect(ctx context.Context, id string) (json.RawMessage, error)
	// ImageList has all images but the intermediate ones of builds.
	ImageList(context.Context) ([]json.RawMessage, error)
	ImageInspect(ctx context.Context, id string) (json.RawMessage, error)
	// ImageHistory has the steps of an image, the newest first.
	ImageHistory(ctx context.Context, id string) ([]json.RawMessage, error)
	ExecInspect(ctx context.Context, id string) (json.RawMessage, error)
	NetworkList(context.Context) ([]json.RawMessage, error)
	// VolumeList gives warnings when volumes may be missing from the list.
	VolumeList(context.Context) (volumes []json.RawMessage, warnings []string, err error)
	// NodeList and ServiceList have those of the swarm that the engine manages.
	NodeList(context.Context) ([]json.RawMessage, error)
	ServiceList(context.Context) ([]json.RawMessage, error)
	// Peer tells of who listens on the engine's unix socket, process 0 for
	// one in another pid namespace, and an error for any other way to an engine.
	Peer(context.Context) (engine.Peer, error)
}

// DefaultConcurrency is how many calls are made side by side when Config does
// not say. More does not help: the engine locks each container it describes.
const DefaultConcurrency = 8

// Config is what an engine is looked at with.
type Config struct {
	// Client and Now are required.
	Client Client
	Now    func() time.Time
	// EnvKey is the key that environment values are hashed with. Without one
	// the hashes are unseen.
	EnvKey []byte
	// Root is where the root of this machine's files is found, "/" or, in a
	// container that has them elsewhere, that folder. Below it, /proc must be
	// that of the pid namespace that the engine counts in. Empty: the
	// machine's files and processes are not looked at.
	Root string
	// ImageHistory has the engine asked for the history of each image, one call more
	// for each, instead of reading it from the engine's store.
	ImageHistory bool
	// Trust says what was found of an image's signatures, by its id and what it is called
	// by digest (facts.Image.Trust), or why that can't be told. Nil where nobody asks.
	Trust func(id string, digests []string) (trust, unseen string)
	// CI are files and folders of this machine that are searched for uses of Content
	// Trust by files of continuous integration; they are below Root.
	CI []string
	// Home is the container that this program runs in, if any. It is left out of the
	// facts.
	Home workload.Home
	// Progress is told how many of total subjects, "images" or "containers",
	// are done; it is not called from two goroutines at once. May be nil.
	Progress func(done, total int, what string)
	// Warn is told, a sentence a call, what a person should know about this
	// collection that the facts do not say. Names in it are as the engine gave
	// them and may hold anything. May be nil.
	Warn func(string)
	// DaemonFile is told where the engine's daemon.json is, what it holds, nil where
	// there is no such file, and where the engine writes its process id, if all are
	// known: the file may hold secrets, which facts do not. May be nil.
	DaemonFile func(path string, data []byte, pidFile string)
	// Concurrency is how many calls are made side by side; 0 is
	// DefaultConcurrency.
	Concurrency int
}

// The reasons for what is unseen that do not depend on the subject; each
// completes "not observed: PATH, …".
const (
	reasonSilent     = "the engine does not say it"
	reasonRefused    = "the engine refused to say it"
	reasonTooBig     = "the engine's answer is too big"
	reasonUnreadable = "the engine's answer cannot be read"
)

// Engine collects the facts of one engine. An engine that goes away before all
// is said, and one that does not list its containers, is an error, because half
// of the facts would look like a whole; so is one for Windows containers. The
// errors of the Client come back as they are, so that their hints stay.
//
// A container that is removed meanwhile is left out, and Warn told. One whose
// answer cannot be read, or is refused, stays, with all but its name and id
// unseen. Containers, networks and volumes are sorted by name, then id.
func Engine(ctx context.Context, cfg Config) (*facts.Facts, error) {
	c, err := newCollector(cfg)
	if err != nil {
		return nil, err
	}
	defer c.close()
	if err := c.collect(ctx); err != nil {
		return nil, err
	}
	return c.facts, nil
}

func newCollector(cfg Config) (*collector, error) {
	if cfg.Client == nil || cfg.Now == nil {
		return nil, errors.New("collecting facts: Client and Now are required")
	}
	if cfg.Concurrency < 0 {
		return nil, fmt.Errorf("collecting facts: the concurrency %d is negative", cfg.Concurrency)
	}
	return &collector{Config: cfg, facts: &facts.Facts{Schema: facts.Schema, Collected: cfg.Now().UTC()}}, nil
}

// close lets the host's files go.
func (c *collector) close() {
	c.root.close()
	c.host.close()
}

// collector is one collection. Its fields are written by the goroutine that
// collects, before a worker reads them: none does before the backlog is
// released. Workers write only elements of their own.
type collector struct {
	Config
	facts *facts.Facts
	// around is the same for all containers but for the image.
	around workload.Surroundings
	// bare has no container and no image looked at.
	bare bool
	// root has the files as the engine sees them; nil where links are not followed, and
	// then noFiles says why.
	root    *tree
	noFiles string
	// host has the files of the engine's host; nil where they may not be looked at,
	// and then noHost says why.
	host   *tree
	noHost string
	// sandboxes are the names of runtimes whose processes are not the host's.
	sandboxes map[string]bool
	// initName is the name of the program that --init starts.
	initName string
	// described counts one more container as done, for Progress.
	described func()
}

// collect is the order of everything. An engine needs some 40 ms each for /info
// and /version, since it starts programs to ask them, and 1 to 3 ms for most
// other answers, so nothing waits for those two that can do without.
//
//  1. A ping agrees on the version of the API. An engine that is too old or too
//     new is refused here, before it is asked for anything more.
//  2. All that needs no other answer is asked at once: the list of containers,
//     and the survey (/version, /info, networks and volumes).
//  3. With the list there, each distinct image and each container is inspected,
//     while the survey may still be under way. What a container's answer means
//     depends on the survey and on its image, so it waits in the backlog.
//  4. With the survey and the images there, answers become Specs: those of the
//     backlog first, then each as it comes. What an answer says of exec sessions
//     is looked at here too.
//  5. As soon as every container was inspected, /proc is walked for the processes
//     of all, so that they are of one moment.
//  6. The images that no container runs are inspected behind all containers, and
//     then the engine's store is read for what its answers about images lack.
//
// One pool runs all of it from 2 on. Calls are submitted in this order, so a
// worker that waits with an answer waits only for what has begun before.
func (c *collector) collect(ctx context.Context) error {
	api, err := c.Client.API(ctx)
	if err != nil {
		return err
	}
	peer := c.peer(ctx)
	c.host, c.noHost = c.openHost(peer)
	calls := newPool(ctx, c.workers())
	defer calls.stop()

	var listed []listedContainer
	listing := calls.submit(1, func(ctx context.Context, _ int) (err error) {
		listed, err = c.list(ctx)
		return err
	})
	said := &survey{}
	once := said.calls(c.Client)
	surveying := calls.submit(len(once), func(ctx context.Context, i int) error { return once[i](ctx) })
	var mounts *workload.MountTable
	var started configured
	var host hostSeen
	var trust contentTrust
	readings := []func(){
		func() { mounts = c.mountsOf(peer.PID) },
		func() { started = c.startedAs(peer.PID) },
		func() { host = c.lookAtHost(peer) },
		func() { trust = c.findContentTrust(peer.PID) },
	}
	reading := calls.submit(len(readings), func(_ context.Context, i int) error {
		readings[i]()
		return nil
	})

	workload.PrepareToReadInspect()
	if err := listing.wait(); err != nil {
		return err
	}
	there := listed
	if c.bare {
		listed = nil
	}
	images, ids := imagesOf(listed)
	seen := c.progress(len(ids), "images")
	imaging := calls.submit(len(ids), func(ctx context.Context, i int) error {
		defer seen()
		return c.image(ctx, ids[i], images[ids[i]])
	})
	all := newContainers(listed, images)
	inspecting := calls.submit(len(listed), func(ctx context.Context, i int) error { return c.inspect(ctx, all, i) })
	var seenThere processes
	looking := calls.submit(1, func(ctx context.Context, _ int) (err error) {
		if err := inspecting.wait(); err != nil {
			return err
		}
		seenThere, err = c.findProcesses(ctx, all)
		return err
	})

	if err := cmp.Or(surveying.wait(), imaging.wait(), reading.wait()); err != nil {
		return err
	}
	if err := c.settle(api, said); err != nil {
		return err
	}
	c.configFacts(started)
	c.hostFacts(host, started, peer, mounts)
	c.trustFacts(trust)
	c.files(started, peer)
	c.swarmNode()
	if c.root, c.noFiles = c.openEngineRoot(peer.PID, mounts, there); c.root != nil {
		c.around.Resolve, c.around.Nodes = c.root.resolve, c.root.nodes
		if path.IsAbs(peer.Path) {
			c.around.Sockets = []string{peer.Path}
			c.root.recognize(peer.Path)
		}
		c.noFiles = "a path could not be followed on the host"
	}
	c.described = c.progress(len(listed), "containers")
	early := all.backlog.release()
	describing := calls.submitFirst(len(early), func(ctx context.Context, i int) error {
		a := early[i]
		early[i] = inspected{} // its memory is needed no longer
		return c.container(ctx, all, a)
	})

	if c.bare {
		said.images = nil
	}
	known := allImages(images, said.images, said.noImages)
	shown, show := c.progressLater(len(known.others), "images")
	others := calls.submit(len(known.others), func(ctx context.Context, i int) error {
		defer shown()
		return c.image(ctx, known.others[i], known.found[known.others[i]])
	})
	storing := calls.submit(1, func(ctx context.Context, _ int) error {
		if err := others.wait(); err != nil {
			return err
		}
		return known.look(ctx, c)
	})

	if err := cmp.Or(inspecting.wait(), describing.wait(), looking.wait()); err != nil {
		return err
	}
	show()
	if err := storing.wait(); err != nil {
		return err
	}
	c.finish(all)
	c.addProcesses(seenThere)
	c.images(known, listed)
	c.inventory(known)
	c.versions(c.components(said.version, host.enginePackage, host.noEnginePackage))
	slices.SortStableFunc(c.facts.Unseen, func(a, b workload.Unseen) int { return cmp.Compare(a.Path, b.Path) })
	return nil
}

func (c *collector) unseen(path, reason string) {
	c.facts.Unseen = append(c.facts.Unseen, workload.Unseen{Path: path, Reason: reason})
}

func (c *collector) warn(format string, args ...any) {
	if c.Warn != nil {
		c.Warn(fmt.Sprintf(format, args...))
	}
}

func (c *collector) workers() int { return cmp.Or(c.Concurrency, DefaultConcurrency) }

// progress returns a function to call after each of total subjects.
func (c *collector) progress(total int, what string) func() {
	if c.Progress == nil || total == 0 {
		return func() {}
	}
	var mu sync.Mutex
	done := 0
	c.Progress(0, total, what)
	return func() {
		mu.Lock()
		defer mu.Unlock()
		done++
		c.Progress(done, total, what)
	}
}

// progressLater is progress that is not shown before show is called.
func (c *collector) progressLater(total int, what string) (done, show func()) {
	var mu sync.Mutex
	early, tell := 0, func() {}
	shown := false
	done = func() {
		mu.Lock()
		defer mu.Unlock()
		if early++; shown {
			tell()
		}
	}
	show = func() {
		mu.Lock()
		defer mu.Unlock()
		shown, tell = true, c.progress(total, what)
		for range early {
			tell()
		}
	}
	return done, show
}
