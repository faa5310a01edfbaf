package api

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Endpoint is a route of the Engine API. The ones that Find gives are those of the
// table: they are not to be changed.
type Endpoint struct {
	Method string // GET, HEAD, POST, PUT, DELETE, OPTIONS
	// Pattern is the path without version, such as /containers/{id}/json. {name} is
	// one segment, {name...} is one or more.
	Pattern string
	// Since and Last are the API versions that have it.
	Since, Last Version

	Class  Class
	Effect Effect
	Body   Body
	Answer Answer
	Judge  Judge
	Query  []Param // every parameter of the query that the engine reads

	segments  []string // of Pattern
	variables []string // their names, in the order of the path
	many      string   // the one of them that may have slashes
}

// String is such as POST /containers/create.
func (e *Endpoint) String() string { return e.Method + " " + e.Pattern }

// Class is what a policy speaks of: it grants a caller the class, or not.
type Class string

// The classes.
const (
	Containers   Class = "containers"
	Exec         Class = "exec"
	Attach       Class = "attach"
	Archive      Class = "archive" // files of a container, out and in: cp, export
	Commit       Class = "commit"
	Images       Class = "images"
	Build        Class = "build" // the classic builder, and the build cache
	BuildKit     Class = "buildkit"
	Volumes      Class = "volumes"
	Networks     Class = "networks"
	Swarm        Class = "swarm"    // the cluster and its nodes
	Services     Class = "services" // and their tasks
	Secrets      Class = "secrets"
	Configs      Class = "configs"
	Plugins      Class = "plugins"
	Checkpoints  Class = "checkpoints"
	System       Class = "system"
	Distribution Class = "distribution" // what a registry says of an image
	Debug        Class = "debug"
)

// Effect is what a request does.
type Effect uint8

// The effects.
const (
	Read          Effect = iota // tells what secrets do not belong into
	ReadSensitive               // tells environments, files, logs, tokens, or has the engine call out
	Mutate                      // changes something, or runs something
)

// String is such as read.
func (e Effect) String() string { return [...]string{"read", "sensitive read", "mutation"}[e] }

// Body is what a request carries.
type Body struct {
	Kind BodyKind
	Type reflect.Type // of JSON: what Decode fills
}

// BodyKind is the form of a body.
type BodyKind uint8

// The forms of bodies.
const (
	None BodyKind = iota
	JSON
	Tar // an archive of any size, or none
	Raw // what is sent after the connection was taken over
)

// String is such as JSON.
func (k BodyKind) String() string { return [...]string{"none", "JSON", "tar", "raw"}[k] }

// Answer is how an answer comes.
type Answer uint8

// The forms of answers.
const (
	Plain  Answer = iota
	Stream        // for as long as there is something to say, or until what is waited for happens
	Hijack        // the connection becomes another protocol's: attach, exec, websocket, gRPC
)

// String is such as stream.
func (a Answer) String() string { return [...]string{"plain", "stream", "hijack"}[a] }

// Judge is who decides on a request.
type Judge uint8

// The judges.
const (
	ByClass Judge = iota // policy grants the class and effect to the caller, or not
	Free                 // it may always pass
	Ending               // it ends or takes away: passes for root, also when the trail is full

	ContainerCreate
	ContainerStart // also restart and unpause: what runs after them is what is judged
	ContainerUpdate
	ContainerRename
	ExecCreate
	ExecStart
	AttachStart
	ArchivePut
	ArchiveGet
	CommitImage
	ImagePull // also import: fromSrc in the query
	ImagePush
	ImageTag
	ImageLoad
	ImageBuild
	VolumeCreate
	VolumeUpdate
	NetworkCreate
	NetworkConnect // also disconnect
	ServiceCreate
	ServiceUpdate
)

var judgeNames = [...]string{"by class", "free", "ending", "container create", "container start", "container update", "container rename",
	"exec create", "exec start", "attach", "archive put", "archive get", "commit", "image pull", "image push", "image tag", "image load",
	"image build", "volume create", "volume update", "network create", "network connect", "service create", "service update"}

// String is such as container create.
func (j Judge) String() string { return judgeNames[j] }

// Param is a parameter of a query.
type Param struct {
	Name        string
	Since, Last Version
	Many        bool // it may be given more than once; of others the engine reads the first
}

// Takes refuses a Content-Type by which the engine would read another body, or
// parameters from the body: net/http's ParseForm puts those of a form before those
// of the query (Go, Request.ParseForm). empty says that there is no body at all, as
// of most POST requests.
func (e *Endpoint) Takes(contentType string, empty bool) *Refusal {
	if empty {
		return nil
	}
	media, _, _ := strings.Cut(contentType, ";")
	switch media = strings.ToLower(strings.TrimSpace(media)); {
	case media == "application/x-www-form-urlencoded" || strings.HasPrefix(media, "multipart/"):
		return refuse(400, e.String()+": the Content-Type "+show(contentType)+" makes parameters of the body; put them into the query, and send the body as "+e.mediaType())
	case e.Body.Kind == JSON && media != "application/json":
		return refuse(400, "unsupported Content-Type header ("+show(contentType)+"): must be 'application/json'")
	}
	return nil
}

func (e *Endpoint) mediaType() string {
	if e.Body.Kind == Tar {
		return "application/x-tar"
	}
	return "application/json"
}

// jsonOf is a body that is decoded into a T.
func jsonOf[T any]() Body { return Body{JSON, reflect.TypeFor[T]()} }

// route makes a row of the table. query has the parameters; name* may be given more
// than once, name:42- came with 1.42, name:-51 was last in 1.51.
func route(method, pattern string, class Class, effect Effect, body Body, answer Answer, judge Judge, query string) Endpoint {
	e := Endpoint{Method: method, Pattern: pattern, Since: Oldest, Last: Newest, Class: class, Effect: effect, Body: body, Answer: answer, Judge: judge}
	e.segments = strings.Split(pattern[1:], "/")
	for _, s := range e.segments {
		if name, variable := strings.CutPrefix(s, "{"); variable {
			name, many := strings.CutSuffix(strings.TrimSuffix(name, "}"), "...")
			if e.variables = append(e.variables, name); many {
				e.many = name
			}
		}
	}
	for _, word := range strings.Fields(query) {
		name, versions, _ := strings.Cut(word, ":")
		p := Param{Since: Oldest, Last: Newest}
		p.Name, p.Many = strings.CutSuffix(name, "*")
		from, to, _ := strings.Cut(versions, "-")
		if n, err := strconv.Atoi(from); err == nil {
			p.Since = Version(n)
		}
		if n, err := strconv.Atoi(to); err == nil {
			p.Last = Version(n)
		}
		e.Query = append(e.Query, p)
	}
	return e
}

// between gives the versions that have the route.
func (e Endpoint) between(since, last Version) Endpoint {
	e.Since, e.Last = since, last
	return e
}

// Endpoints is a copy of the table.
func Endpoints() []Endpoint { return slices.Clone(table) }
