//go:build !front

package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/inventory"
	"github.com/plimsoll/plimsoll/internal/sign"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/term"
	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/internal/verdict"
	"github.com/plimsoll/plimsoll/internal/workload/runline"
)

// revoked is what came of a revoked key.
type revoked struct {
	Schema      string `json:"schema"`
	Key         string `json:"key"`
	Fingerprint string `json:"fingerprint"`
	Revoked     string `json:"revoked"`
	Why         string `json:"why"`
	Policy      string `json:"policy"`
	// Images are those whose verdict rested on it; Containers those that run from them, nil
	// where that is not known.
	Images     []revokedImage     `json:"images"`
	Containers []revokedContainer `json:"containers"`
}

type revokedImage struct {
	Name    string    `json:"name,omitempty"`
	Digests []string  `json:"digests"`
	By      []string  `json:"by"`
	Why     string    `json:"why"`
	Since   time.Time `json:"since"`
}

type revokedContainer struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Image string `json:"image"`
	State string `json:"state"`
	Owner string `json:"owner,omitempty"`
	// Do is what to do, each a command.
	Do []string `json:"do"`
}

// afterRevoked takes back what rests on a revoked key, and looks what runs of it.
func (a *app) afterRevoked(ctx context.Context, p *sign.Policy, by *revoking) error {
	now, key := a.world.Now(), p.Keys[by.name]
	id := p.ID(sign.Signer{Key: by.name})
	r := &revoked{Schema: "plimsoll/revoked/1", Key: by.name, Fingerprint: id, Revoked: key.Revoked, Why: key.Why, Policy: by.file, Images: []revokedImage{}}
	withdrawn, wrong := p.Withdraw(a.verdicts(), now, func(v *verdict.Verified) bool {
		return slices.ContainsFunc(p.NamesOf(id), func(name string) bool { return p.RestsOn(v, name) })
	})
	var digests []string
	for _, w := range withdrawn {
		r.Images = append(r.Images, revokedImage{w.Name, w.Digests, w.By, w.Why, w.Since.UTC()})
		digests = append(digests, w.Digests...)
	}
	containers, blind := a.running(ctx, digests)
	if blind == nil {
		r.Containers = containers
	}
	// What was done stands, whatever the engine says.
	e := trail.Event{Type: trail.Trust, Subject: trail.Subject{Kind: "key", ID: id, Name: by.name}, Detail: r.detail()}
	if !a.record(context.WithoutCancel(ctx), "the revocation", e) {
		a.note("Another program holds the trail, as plimsoll serve does: the revocation is not in it.")
	}
	write := a.revokedTable
	if by.format == "json" {
		write = func(r *revoked) error { return a.printJSON(r) }
	}
	if err := write(r); err != nil {
		return err
	}
	switch { // errors of other packages would be reported in their words alone
	case wrong != nil:
		return &failure{code: exitUnable, message: "the key is revoked, and not every verdict that rests on it could be taken back", hint: "Mend that, and run it again.", err: errors.New(wrong.Error())}
	case ctx.Err() != nil:
		return &failure{code: exitSignal, message: "ended by a signal: the key is revoked, and it was not asked which containers run from its images", hint: "Run it again to see them."}
	case blind != nil:
		return &failure{code: exitUnable, message: "the key is revoked, and it can't be told which containers run from its images", hint: "Run it again where the engine answers.", err: errors.New(blind.Error())}
	case len(r.Containers) > 0:
		return errFindings
	}
	return nil
}

// maxRecorded bounds the lists of an event.
const maxRecorded = 100

// detail is what the trail has of it.
func (r *revoked) detail() map[string]any {
	images, containers := []string{}, []string{}
	for _, i := range r.Images {
		images = append(images, trail.Clip(strings.TrimPrefix(i.Name+"@"+i.Digests[0], "@"), 200))
	}
	for _, c := range r.Containers {
		containers = append(containers, trail.Clip(c.Name+" "+c.ID, 200))
	}
	d := map[string]any{"did": "revoke", "policy": trail.Clip(r.Policy, 1000), "revoked": r.Revoked, "why": trail.Clip(r.Why, 1000),
		"images": images[:min(len(images), maxRecorded)], "images_count": len(images)}
	if r.Containers != nil {
		d["containers"], d["containers_count"] = containers[:min(len(containers), maxRecorded)], len(containers)
	}
	return d
}

// running are the containers that run from images, by any digest of theirs.
func (a *app) running(ctx context.Context, digests []string) ([]revokedContainer, error) {
	client, _, err := a.client(ctx)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	raw, err := client.ContainerList(ctx)
	if err != nil {
		return nil, err
	}
	owners := a.owners(ctx)
	from := map[string]string{} // ids of images that are meant, with the name to verify; "" for others
	list := []revokedContainer{}
	for _, one := range raw {
		var c struct {
			ID      string `json:"Id"`
			Names   []string
			Image   string
			ImageID string
			State   string
		}
		if _, err := strict.Decode("the engine's answer", one, &c); err != nil {
			return nil, err
		}
		if !slices.Contains([]string{"running", "paused", "restarting"}, c.State) {
			continue
		}
		if _, looked := from[c.ImageID]; !looked {
			if from[c.ImageID], err = a.imageOf(ctx, client, c.ImageID, digests); err != nil {
				return nil, err
			}
		}
		again := from[c.ImageID]
		if again == "" {
			continue
		}
		r := revokedContainer{ID: c.ID, Image: c.Image, State: c.State, Owner: owners[c.ID]}
		if len(c.Names) > 0 {
			r.Name = strings.TrimPrefix(c.Names[0], "/")
		}
		r.Do = []string{"docker stop " + runline.Quote([]string{r.Name}), "plimsoll image verify " + runline.Quote([]string{again})}
		list = append(list, r)
	}
	return list, nil
}

// imageOf is the name by which an image of the engine is verified again, if one of the digests
// is its own, and "" if none is: its id, or what registries gave it.
func (a *app) imageOf(ctx context.Context, client *engine.Client, id string, digests []string) (string, error) {
	if len(digests) == 0 {
		return "", nil
	}
	raw, err := client.ImageInspect(ctx, id)
	if errors.Is(err, engine.ErrNotFound) { // its container still runs
		if slices.Contains(digests, id) {
			return id, nil
		}
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var body struct {
		RepoTags, RepoDigests []string
	}
	if _, err := strict.Decode("the engine's answer", raw, &body); err != nil {
		return "", err
	}
	meant := slices.Contains(digests, id)
	for _, name := range body.RepoDigests {
		_, digest, _ := strings.Cut(name, "@")
		meant = meant || slices.Contains(digests, digest)
	}
	if !meant {
		return "", nil
	}
	return append(append(body.RepoTags, body.RepoDigests...), id)[0], nil
}

// owners are who was declared to own containers, by their ids, as far as the inventory knows.
func (a *app) owners(ctx context.Context) map[string]string {
	owners := map[string]string{}
	if _, err := os.Stat(a.trailDir()); errors.Is(err, fs.ErrNotExist) {
		return owners // nothing is recorded here
	}
	list, err := a.listInventory(ctx, inventory.Filter{Now: a.world.Now()})
	if err != nil {
		a.note("the inventory does not tell whose the containers are: " + err.Error())
		return owners
	}
	for i := range list.Deployments {
		owners[list.Deployments[i].Container] = list.Deployments[i].Owner
	}
	return owners
}

// revokedTable tells it to people.
func (a *app) revokedTable(r *revoked) error {
	p := a.stdout
	var b strings.Builder
	line := func(style term.Style, text string) { fmt.Fprintf(&b, "%s %s\n", p.Glyph(style), p.Escape(text)) }
	more := func(text string) { fmt.Fprintf(&b, "      %s\n", p.Escape(text)) }
	line(term.Pass, fmt.Sprintf("%s is revoked since %s: %s", r.Key, r.Revoked, r.Why))
	more(shortID(r.Fingerprint) + " in " + r.Policy)
	for _, i := range r.Images {
		name := i.Name
		if name == "" {
			name = "an image"
		}
		line(term.Deny, name+" is not verified any more: "+i.Why)
		for _, d := range i.Digests {
			more(d)
		}
	}
	for _, c := range r.Containers {
		whose := "nobody is declared to own it"
		if c.Owner != "" {
			whose = "of " + c.Owner
		}
		line(term.Critical, fmt.Sprintf("%s runs %s (%s)", c.Name, c.Image, whose))
		more("stop it, and run what is trusted:  " + c.Do[0])
		more("or, where others have signed it:   " + c.Do[1])
	}
	fmt.Fprintf(&b, "\n %s no longer verified", count(len(r.Images), "image"))
	if r.Containers != nil {
		fmt.Fprintf(&b, ", and %s running from them", count(len(r.Containers), "container"))
	}
	b.WriteString("\n")
	return a.print(b.String())
}
