package serve

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plimsoll/plimsoll/internal/trail"
)

// real is what the fake engine has, in the words of Known.
func (f *fake) real() (k Known) {
	f.do(func() {
		for _, id := range sortedKeys(f.containers) {
			c := f.containers[id]
			state := Created
			switch {
			case c.running:
				state = Running
			case !c.started.IsZero():
				state = Exited
			}
			k.Containers = append(k.Containers, Container{ID: id, Name: c.name, State: state})
		}
		for _, id := range sortedKeys(f.images) {
			tags := slices.Clone(f.images[id])
			slices.Sort(tags)
			k.Images = append(k.Images, Image{ID: id, Tags: tags})
		}
		k.Volumes = sortedKeys(f.volumes)
	})
	return k
}

// recorded is the same of what a trail has.
func recorded(k *Known) Known {
	out := Known{Images: k.Images, Volumes: k.Volumes}
	for _, c := range k.Containers {
		out.Containers = append(out.Containers, Container{ID: c.ID, Name: c.Name, State: c.State})
	}
	return out
}

// step does something to the engine, or to the way to it.
func (f *fake) step(r *rand.Rand, n int) {
	var some *fakeContainer
	if ids := sortedKeys(f.containers); len(ids) > 0 {
		some = f.containers[ids[r.IntN(len(ids))]]
	}
	image := "sha256:" + idOf(r.IntN(3))
	tag := fmt.Sprintf("web:%d", r.IntN(4))
	volume := fmt.Sprintf("hold-%d", r.IntN(4))
	switch what := r.IntN(24); {
	case what < 5:
		f.create(n, nil)
	case what < 12 && some != nil && !some.running:
		f.start(some)
	case what < 12 && some != nil:
		f.die(some, r.IntN(3))
	case what < 14 && some != nil:
		if some.running {
			f.die(some, 137)
		}
		f.remove(some)
	case what < 15 && some != nil:
		some.name = fmt.Sprintf("renamed-%d", n)
		f.emit("container", "rename", some.id, f.attrs(some))
	case what < 17:
		for id, tags := range f.images {
			f.images[id] = slices.DeleteFunc(tags, func(t string) bool { return t == tag })
		}
		f.images[image] = append(f.images[image], tag)
		f.emit("image", "tag", image, map[string]string{"name": tag})
	case what < 18 && f.images[image] != nil:
		for range f.images[image] {
			f.images[image] = f.images[image][1:]
			f.emit("image", "untag", image, map[string]string{"name": image})
		}
		delete(f.images, image)
		f.emit("image", "delete", image, map[string]string{"name": image})
	case what < 20 && !f.volumes[volume]:
		f.volumes[volume] = true
		f.emit("volume", "create", volume, nil)
	case what < 20:
		delete(f.volumes, volume)
		f.emit("volume", "destroy", volume, nil)
	case what < 22:
		f.cuts++
	case what < 23:
		f.from = len(f.log) // all is forgotten, and so is lost who had not read it
		f.cuts++
	default:
		f.down = !f.down
	}
}

// TestRandom: whatever happens, and whatever becomes of the connection, the engine's
// memory and the watcher meanwhile: in the end the trail has what the engine has, and its
// events make sense: each container is deployed once, and runs before it ends.
func TestRandom(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			f, m := startFake(t), &memory{}
			r := rand.New(rand.NewPCG(seed, 4))
			change := func(c *Config) {
				c.Log = nil
				c.pace.settle = 20 * time.Millisecond
				c.pace.queue = 16
			}
			w := watch(t, f.client, m, change)
			for n := range 300 {
				f.do(func() { f.step(r, n) })
				if n%100 == 99 {
					w.end()
					w = watch(t, f.client, m, change)
				}
				if n%10 == 0 {
					time.Sleep(time.Duration(r.IntN(8)) * time.Millisecond) // so that all meet at different moments
				}
			}
			f.do(func() { f.down = false })
			var diff string
			same := func() bool { diff = cmp.Diff(f.real(), recorded(m.known(t)), cmpopts.EquateEmpty()); return diff == "" }
			defer func() {
				if t.Failed() {
					t.Log(diff)
				}
			}()
			waitFor(t, "the trail that has what there is", same)
			state := map[string]string{}
			for _, e := range about(m.all(), "container") {
				id, was := e.Subject.ID, state[e.Subject.ID]
				makesSense := map[string]bool{trail.Deploy: was == "", trail.Start: was == Created || was == Exited, trail.Die: was == Running,
					trail.Remove: was != "" && was != "removed", trail.Rename: was != "" && was != "removed"}
				if !makesSense[e.Type] {
					t.Errorf("%s of %s, which is %q: %v", e.Type, e.Subject.Name, was, e.Detail)
				}
				switch e.Type {
				case trail.Deploy:
					state[id] = Created
				case trail.Start:
					state[id] = Running
				case trail.Die:
					state[id] = Exited
				case trail.Remove:
					state[id] = "removed"
				}
			}
		})
	}
}
