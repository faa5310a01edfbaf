package gate

import (
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/gate/api"
	"github.com/plimsoll/plimsoll/internal/trail"
)

// guarded are the classes that no rule judges and that give power over the host: who may
// change something by them is for the policy to say. What to do instead is what a
// client is told.
var guarded = map[api.Class]string{
	api.BuildKit:    "build with DOCKER_BUILDKIT=0, or have the class buildkit allowed",
	api.Swarm:       "have the class swarm allowed by who keeps the policy",
	api.Services:    "deploy a container instead, or have the class services allowed",
	api.Secrets:     "have the class secrets allowed by who keeps the policy",
	api.Configs:     "have the class configs allowed by who keeps the policy",
	api.Plugins:     "have the class plugins allowed by who keeps the policy: a plugin is root on this host",
	api.Checkpoints: "have the class checkpoints allowed by who keeps the policy: they are written to any folder of this host",
	api.Debug:       "have the class debug allowed by who keeps the policy",
	api.Volumes:     "use the local driver without options, or have the class volumes allowed",
	api.Networks:    "use the driver bridge, or have the class networks allowed",
	logging:         "use the log driver json-file, local or journald, or have the class logging allowed",
	apparmor:        "leave out --security-opt apparmor, or have the class apparmor allowed",
	labels:          "leave out --security-opt label and add :z or :Z to the mounts that it was meant for, or have the class labels allowed",
	seccomp:         "leave out --security-opt seccomp, or have the class seccomp allowed",
}

// grantable are the classes that a policy can allow.
func grantable() []string {
	var out []string
	for class := range guarded {
		out = append(out, string(class))
	}
	slices.Sort(out)
	return out
}

// byClass objects to what only a policy can allow. Looking is not guarded, but for what
// shows the engine's own memory, or any folder of the host.
func (p *Policy) byClass(x *exchange) {
	e := x.match.Endpoint
	switch e.Class {
	case api.Volumes, api.Networks: // by what they ask for
		return
	}
	instead, ours := guarded[e.Class]
	looks := e.Effect != api.Mutate && e.Class != api.Debug && !(e.Class == api.Checkpoints && x.match.Query.Get("dir") != "")
	if !ours || looks || p.allows(string(e.Class), x.who) {
		return
	}
	x.decision.object("the class "+string(e.Class)+" is not allowed to "+x.who.String(), instead)
}

// readable are what a policy can refuse of what only looks.
var readable = []string{"archive", "configs", "environment", "images", "logs", "processes", "tokens"}

// reading says which of readable an endpoint gives, "" for none.
func reading(e *api.Endpoint) string {
	switch {
	case e.Class == api.Archive && e.Effect == api.ReadSensitive:
		return "archive"
	case e.Class == api.Configs:
		return "configs"
	case strings.HasSuffix(e.Pattern, "/logs"):
		return "logs"
	case strings.HasSuffix(e.Pattern, "/top"):
		return "processes"
	case strings.HasSuffix(e.Pattern, "/get"):
		return "images"
	case e.Class == api.Swarm:
		return "tokens"
	case e.Class == api.Containers || e.Class == api.Exec || e.Class == api.Services:
		return "environment"
	}
	return ""
}

// read objects to what the policy does not let anybody read.
func (p *Policy) read(x *exchange) {
	e := x.match.Endpoint
	switch {
	case e.Effect == api.ReadSensitive:
		p.tells(x, reading(e))
	case e.Class == api.Attach && x.match.Query.Bool("logs"): // which come first
		p.tells(x, "logs")
	case e.Judge == api.CommitImage: // its image has the container's environment, for all to see
		p.tells(x, "environment")
	case e.Judge == api.ImagePush:
		p.tells(x, "images")
	}
}

// tells objects to a request by which something can be read.
func (p *Policy) tells(x *exchange, what string) {
	if what != "" && slices.Contains(p.Reads.Refuse, what) {
		x.decision.object("the policy lets nobody read "+what+" here", "")
	}
}

// eventOf is the type of the event for a request that changes something, and what kind
// of thing it is about.
func eventOf(e *api.Endpoint) (event, kind string) {
	kind = strings.TrimSuffix(string(e.Class), "s")
	_, last, _ := strings.Cut(e.Pattern[1:], "/")
	last = last[strings.LastIndexByte(last, '/')+1:]
	switch e.Class {
	case api.Containers, api.Attach, api.Archive, api.Exec, api.Checkpoints:
		kind = "container"
	case api.Commit, api.Build, api.BuildKit, api.Distribution:
		kind = "image"
	}
	switch {
	case e.Judge == api.ContainerCreate:
		return trail.Deploy, kind
	case last == "prune":
		return trail.Remove, kind
	case e.Method == "DELETE" && e.Class == api.Images:
		return trail.Delete, kind
	case e.Method == "DELETE":
		return trail.Remove, kind
	case e.Class == api.Exec:
		return trail.Exec, kind
	case e.Class == api.Containers:
		switch last {
		case "start", "restart":
			return trail.Start, kind
		case "stop":
			return trail.Stop, kind
		case "kill":
			return trail.Kill, kind
		case "pause":
			return trail.Pause, kind
		case "unpause":
			return trail.Resume, kind
		case "rename":
			return trail.Rename, kind
		case "update":
			return trail.Update, kind
		}
	}
	switch e.Judge {
	case api.ImagePull:
		return trail.Pull, kind
	case api.ImageTag:
		return trail.Tag, kind
	case api.ImageLoad, api.ImageBuild, api.CommitImage:
		return trail.Load, kind
	case api.VolumeCreate, api.VolumeUpdate:
		return trail.Volume, kind
	case api.NetworkCreate, api.NetworkConnect:
		return trail.Network, kind
	}
	return string(e.Class), kind
}
