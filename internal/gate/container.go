package gate

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/declare"
	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/gate/api"
	"github.com/plimsoll/plimsoll/internal/http1"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// judges decide on requests beyond what their class says.
var judges = map[api.Judge]func(context.Context, *exchange) error{
	api.ContainerCreate: judgeCreate,
	api.ContainerStart:  judgeStart,
	api.ContainerUpdate: judgeUpdate,
	api.ExecCreate:      judgeExecCreate,
	api.ExecStart:       judgeExecStart,
	api.AttachStart:     judgeStart,
	api.ArchivePut:      judgeStart, // its files are those of the mounts as well
	api.ArchiveGet:      judgeStart,
	api.ImagePull:       judgePull,
	api.ImagePush:       judgePush,
	api.ImageBuild:      judgeBuild,
	api.CommitImage:     judgeCommit,
	api.VolumeCreate:    judgeVolume,
	api.VolumeUpdate:    judgeVolumeUpdate,
	api.NetworkCreate:   judgeNetwork,
}

// bodyOf is the decoded body of a request. One of another type would be judged as if it
// asked for nothing.
func bodyOf[T any](x *exchange) (*T, error) {
	body, ok := x.parsed.(*T)
	if !ok {
		return nil, fmt.Errorf("the body of %s is a %T", x.match.Endpoint, x.parsed)
	}
	return body, nil
}

// judgeCreate judges a container before there is one, and once more when the engine has
// made it, before the client knows its id and could start it.
func judgeCreate(ctx context.Context, x *exchange) error {
	body, err := x.created()
	if err != nil {
		return err
	}
	now := x.g.now()
	x.declared, _ = declare.Of(body.Labels, now)
	x.subject.Name, x.subject.Image = trail.Clip(body.Name, maxName), trail.Clip(body.Image, maxName)
	// It takes a moment to be durable. What is filled in belongs to it.
	fills := x.p.Defaults.any()
	if !fills {
		x.begin()
	}
	f, image, volumes, err := x.g.around.asked(ctx, body)
	if err != nil {
		return badSpec(x, err)
	}
	if fills {
		filled, err := x.fill(body, f)
		if err == nil && filled {
			if body, err = x.created(); err == nil {
				f, image, volumes, err = x.g.around.asked(ctx, body)
			}
		}
		if err != nil {
			return err
		}
		x.begin()
	}
	if err := x.p.required(x, &f.Containers[0]); err != nil {
		return err
	}
	x.decision.add(x.p.given(&body.HostConfig, x.who, f, asked))
	x.decision.add(x.p.newVolumes(&body.HostConfig, volumes, x.who))
	x.decision.add(x.g.protects(&f.Containers[0]))
	d, err := x.p.judge(f, asked, x.who, now)
	if err != nil {
		return err
	}
	x.decision.add(d)
	x.check = func(ctx context.Context, _ *http1.Response, answer []byte) (*decision, error) {
		var created struct {
			ID string `json:"Id" strict:"required"`
		}
		if _, err := strict.Decode("the engine's answer", answer, &created); err != nil {
			return nil, err
		}
		x.subject.ID = trail.Clip(created.ID, maxName)
		d, inspect, err := x.inspected(ctx, created.ID)
		if err == nil {
			x.subject.Digest = trail.Clip(inspect.Image, maxName)
			if image == nil || inspect.Image != image.ID() { // the name means another by now
				err = x.p.requiredImage(x.g, d, x.spec)
			}
			if r := x.p.Defaults.Runtime; r != nil && body.HostConfig.Runtime == "" && x.enforces() && !r.trusts(&x.spec.Image) {
				d.object("the name "+body.Image+" has come to mean an image that is not trusted with the engine's own runtime", "do it again")
			}
		}
		if (err != nil || d.refused()) && x.enforces() {
			if undo := x.g.remove(ctx, created.ID); undo != nil {
				err = errors.Join(err, undo)
			}
		}
		return d, err
	}
	return nil
}

// created gives the body of a new container.
func (x *exchange) created() (*workload.CreateBody, error) {
	whole, err := bodyOf[api.ContainerCreateBody](x)
	if err != nil {
		return nil, err
	}
	body := &whole.CreateBody
	body.Name = x.match.Query.Get("name")
	return body, nil
}

// badSpec refuses what the engine could not make a container of either, and gives any
// other error back.
func badSpec(x *exchange, err error) error {
	var far *engine.Error
	if errors.As(err, &far) || errors.Is(err, context.Canceled) {
		return err
	}
	x.malformed = &api.Refusal{Status: http.StatusBadRequest, Message: err.Error()}
	return nil
}

// inspect is the engine's description of a container.
type inspect struct {
	*workload.InspectBody
	read *workload.Inspected
	raw  json.RawMessage
}

func (g *Gate) inspect(ctx context.Context, id string) (*inspect, error) {
	raw, err := g.client.ContainerInspect(ctx, id)
	if err != nil {
		return nil, err
	}
	return readInspect(raw)
}

func readInspect(raw json.RawMessage) (*inspect, error) {
	in, err := workload.ReadInspect(raw)
	if err != nil {
		return nil, err
	}
	return &inspect{in.Body(), in, raw}, nil
}

// inspected judges a container that is there.
func (x *exchange) inspected(ctx context.Context, id string) (*decision, *inspect, error) {
	i, err := x.g.inspect(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	d, err := x.described(ctx, i, nil)
	return d, i, err
}

// described judges a container by its description, with the exec sessions that it is to
// have.
func (x *exchange) described(ctx context.Context, i *inspect, execs []workload.Exec) (*decision, error) {
	f, err := x.g.around.made(ctx, i, execs)
	if err != nil {
		return nil, err
	}
	x.spec = &f.Containers[0]
	if err := x.g.users(ctx, x.p, x.spec); err != nil {
		return nil, err
	}
	d, err := x.p.judge(f, made, x.who, x.g.now())
	if err != nil {
		return nil, err
	}
	d.add(x.p.given(&i.HostConfig, x.who, f, made))
	d.add(x.g.protects(x.spec))
	return d, nil
}

// judgeNamed judges the container that the path names. Of one that is not there nothing is
// passed on: there may be one of that name in a moment.
func judgeNamed(ctx context.Context, x *exchange, name string, execs []workload.Exec, change func(*inspect) (*inspect, error)) error {
	x.subject.Name = trail.Clip(name, maxName)
	i, err := x.g.inspect(ctx, name)
	if errors.Is(err, engine.ErrNotFound) {
		x.missing("No such container: " + name)
		return nil
	}
	if err == nil && change != nil {
		i, err = change(i)
	}
	if err != nil {
		return err
	}
	x.subject = trail.Subject{Kind: "container", ID: trail.Clip(i.ID, maxName), Name: trail.Clip(strings.TrimPrefix(i.Name, "/"), maxName),
		Image: trail.Clip(i.Config.Image, maxName), Digest: trail.Clip(i.Image, maxName)}
	x.pin(name, i.ID)
	d, err := x.described(ctx, i, execs)
	if err != nil {
		return err
	}
	x.decision.add(d)
	return nil
}

// pin has the request name what was judged: a name, or the beginning of an id, may come
// to mean another container meanwhile.
func (x *exchange) pin(name, id string) {
	if !x.enforces() || name == id {
		return
	}
	before, after, found := strings.Cut(x.req.Path, "/containers/")
	if _, rest, more := strings.Cut(after, "/"); found && more {
		x.pinned, x.named = id, name
		x.req.Path = before + "/containers/" + id + "/" + rest
		x.req.Target = x.req.Path
		if x.req.RawQuery != "" {
			x.req.Target += "?" + x.req.RawQuery
		}
	}
}

// missing has the client told what the engine would say of what is not there.
func (x *exchange) missing(message string) {
	x.absent = &api.Refusal{Status: http.StatusNotFound, Message: message}
}

// repeating are what the engine says with the name in it that the path has, and not with
// the container's id: moby's daemon/attach.go, container.go, exec.go and restart.go.
var repeating = [][2]string{
	{"Cannot restart container ", ": "},
	{"No such container: ", ""},
	{" in container ", ""}, // what is not there of its files
	{"container ", " is paused, unpause the container before attach"},
	{"container ", " is restarting, wait until the container is running"},
	{"Container ", " is paused, unpause the container before exec"},
}

// asNamed has an error of the engine speak of the container by the name that the client
// gave, where it was pinned.
func (x *exchange) asNamed(message []byte) []byte {
	for _, around := range repeating {
		message = bytes.Replace(message, []byte(around[0]+x.pinned+around[1]), []byte(around[0]+x.named+around[1]), 1)
	}
	return message
}

// judgeStart judges a container that is to run, or to be spoken to.
func judgeStart(ctx context.Context, x *exchange) error {
	if q := &x.match.Query; (q.Get("checkpoint") != "" || q.Get("checkpoint-dir") != "") && !x.p.allows(string(api.Checkpoints), x.who) {
		x.decision.object("what a checkpoint goes on with cannot be judged", guarded[api.Checkpoints])
	}
	restarts := strings.HasSuffix(x.match.Endpoint.Pattern, "/restart")
	if restarts {
		x.first = stopFirst
	}
	if err := judgeNamed(ctx, x, x.match.Var("id"), nil, nil); err != nil || x.absent != nil {
		return err
	}
	if restarts || strings.HasSuffix(x.match.Endpoint.Pattern, "/start") {
		return x.p.Require.Verdict.stands(x.g, &x.decision, x.spec)
	}
	return nil
}

// stopFirst stops a container that is to be restarted, and judges it once more: stopping
// may take as long as the client says, and what it mounts may be something else by then.
// The engine's own restart then finds it stopped. One that is removed when it stops cannot
// be stopped first.
func stopFirst(ctx context.Context, x *exchange) (*decision, error) {
	i, err := x.g.inspect(ctx, x.subject.ID)
	if errors.Is(err, engine.ErrNotFound) || err == nil && (!i.State.Running || i.HostConfig.AutoRemove) {
		return &decision{}, nil
	}
	if err != nil {
		return nil, err
	}
	if err := x.g.stop(ctx, i.ID, x.req.RawQuery); err != nil {
		return nil, err
	}
	d, _, err := x.inspected(ctx, i.ID)
	return d, err
}

// judgeUpdate judges what a container would be with its new limits.
func judgeUpdate(ctx context.Context, x *exchange) error {
	return judgeNamed(ctx, x, x.match.Var("id"), nil, func(i *inspect) (*inspect, error) {
		raw, err := updated(i.raw, x.body)
		if err != nil {
			return nil, err
		}
		return readInspect(raw)
	})
}

// updated is an inspect answer with the fields of an update in its HostConfig. The engine
// leaves as it is what is zero (moby's container/container_unix.go, UpdateContainer), but
// of the number of processes, which then has no limit.
func updated(inspect, update []byte) (json.RawMessage, error) {
	var whole, host, change map[string]json.RawMessage
	if err := json.Unmarshal(inspect, &whole); err != nil {
		return nil, fmt.Errorf("reading the engine's inspect answer: %w", err)
	}
	if err := json.Unmarshal(whole["HostConfig"], &host); err != nil {
		return nil, fmt.Errorf("reading HostConfig of the engine's inspect answer: %w", err)
	}
	if err := json.Unmarshal(update, &change); err != nil {
		return nil, fmt.Errorf("reading the update: %w", err)
	}
	for name, value := range change {
		switch string(value) {
		case "null", "0", `""`, "[]", "{}", "false":
			if name != "PidsLimit" || string(value) == "null" {
				continue
			}
		}
		host[name] = value
	}
	var err error
	if whole["HostConfig"], err = json.Marshal(host); err != nil {
		return nil, err
	}
	return json.Marshal(whole)
}

// judgeExecCreate judges a container with the session that somebody wants in it.
func judgeExecCreate(ctx context.Context, x *exchange) error {
	body, err := bodyOf[api.ExecCreateBody](x)
	if err != nil {
		return err
	}
	return judgeNamed(ctx, x, x.match.Var("id"), []workload.Exec{{ID: "asked", User: body.User, Privileged: body.Privileged}}, nil)
}

// judgeExecStart judges a session as the engine has it, however it was made.
func judgeExecStart(ctx context.Context, x *exchange) error {
	id := x.match.Var("id")
	raw, err := x.g.client.ExecInspect(ctx, id)
	if errors.Is(err, engine.ErrNotFound) {
		x.subject.Name = trail.Clip(id, maxName)
		x.missing("No such exec instance: " + id)
		return nil
	}
	if err != nil {
		return err
	}
	var said struct {
		ContainerID   string `strict:"required"`
		ProcessConfig struct {
			User       string `json:"user"`
			Privileged bool   `json:"privileged"`
		}
	}
	if _, err := strict.Decode("the engine's description of the exec session", raw, &said); err != nil {
		return err
	}
	exec := workload.Exec{ID: id, User: said.ProcessConfig.User, Privileged: said.ProcessConfig.Privileged}
	return judgeNamed(ctx, x, said.ContainerID, []workload.Exec{exec}, nil)
}

// required objects to what a new container must have and has not.
func (p *Policy) required(x *exchange, s *workload.Spec) error {
	said := cmp.Or(x.declared, &trail.Declared{})
	if p.Require.Owner && said.Owner == "" {
		x.decision.object("nobody is said to own it", "add --label "+declare.LabelOwner+"=NAME, or deploy by  plimsoll deploy --owner NAME --why REASON -- COMMAND")
	}
	if p.Require.Why && said.Why == "" {
		x.decision.object("it is not said why it is deployed", "add --label "+declare.LabelWhy+"=REASON, or deploy by  plimsoll deploy --owner NAME --why REASON -- COMMAND")
	}
	if p.Require.Digest && s.Image.Digest == "" {
		x.decision.object("the image is not named by its digest", "write "+s.Image.Ref+"@sha256:…")
	}
	if len(s.Links) > 0 { // by which the engine tells the environment of another container
		p.tells(x, "environment")
	}
	if s.Image.ID == "" {
		return nil // the engine has not got it
	}
	return p.requiredImage(x.g, &x.decision, s)
}

// requiredImage objects to images that did not come from where the policy says, and of
// which not enough is known.
func (p *Policy) requiredImage(g *Gate, d *decision, s *workload.Spec) error {
	p.requiredOrigin(d, s)
	if p.Require.Verdict == nil {
		return nil
	}
	return p.Require.Verdict.known(g, d, s)
}

func (p *Policy) requiredOrigin(d *decision, s *workload.Spec) {
	if len(p.Require.Images) == 0 {
		return
	}
	instead := "use one of " + strings.Join(p.Require.Images, ", ")
	if !slices.ContainsFunc(p.Require.Images, func(pattern string) bool { return workload.NameFits(pattern, s.Image.Name) }) || !cameFrom(&s.Image) {
		d.object("the image "+s.Image.Ref+" is not one that came from where the policy says", instead)
	}
	for _, m := range s.Mounts {
		if m.Type == "image" {
			d.object("where the image at "+m.Target+" came from is not looked at", instead)
		}
	}
}

// cameFrom says whether an image came from where its name says: a name can be given to any
// image, and so can the digits of an id be a name. What the engine pulled from a registry
// it knows by a digest there; see finish for engines that do not keep that apart.
func cameFrom(i *workload.Image) bool {
	return i.Name != "" && slices.ContainsFunc(i.Digests, func(d string) bool { return strings.HasPrefix(d, i.Name+"@") })
}
