package api

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// undocumented are routes that no document of these versions has, and why they are
// in the table.
var undocumented = map[string]string{
	"GET /networks/":                                   "the engine's network router registers it beside /networks",
	"OPTIONS /{path...}":                               "the engine's system router answers it for every path",
	"POST /grpc":                                       "BuildKit's control service, by which buildx and docker build work",
	"POST /build/cancel":                               "docker build sends it on an interrupt",
	"GET /containers/{id}/checkpoints":                 "experimental",
	"POST /containers/{id}/checkpoints":                "experimental",
	"DELETE /containers/{id}/checkpoints/{checkpoint}": "experimental",
	"POST /containers/{id}/copy":                       "removed in 1.24, registered until engine 25",
	"GET /debug/vars":                                  "the engine's debug router",
	"GET /debug/pprof/":                                "the engine's debug router",
	"GET /debug/pprof/cmdline":                         "the engine's debug router",
	"GET /debug/pprof/profile":                         "the engine's debug router",
	"GET /debug/pprof/symbol":                          "the engine's debug router",
	"GET /debug/pprof/trace":                           "the engine's debug router",
	"GET /debug/pprof/{name}":                          "the engine's debug router",
}

// undocumentedParams are parameters that no document has, or not in all versions that
// have them.
var undocumentedParams = map[string]string{
	"POST /build buildid":                        "docker build names the build by it, for /build/cancel",
	"POST /build cgroupparent":                   "the engine's build router reads it",
	"POST /build cpusetmems":                     "the engine's build router reads it",
	"POST /build isolation":                      "the engine's build router reads it",
	"POST /build securityopt":                    "the engine's build router reads it",
	"POST /build session":                        "the engine's build router reads it",
	"POST /build ulimits":                        "the engine's build router reads it",
	"POST /containers/{id}/start checkpoint":     "experimental",
	"POST /containers/{id}/start checkpoint-dir": "experimental",
	"GET /containers/{id}/logs details":          "docker logs --details",
	"GET /containers/{id}/logs format":           "engine 29 reads it",
	"POST /images/{name}/tag force":              "removed in 1.24; SDKs still send it",
	"GET /images/json filter":                    "the engine's image router reads it",
	"POST /containers/{id}/attach hijack":        "dockerode sends it, and the engine ignores it",
	"GET /containers/{id}/attach/ws stdin":       "documented from 1.42 on; docker-py sends it before, and the engine ignores it",
	"GET /containers/{id}/attach/ws stdout":      "documented from 1.42 on; docker-py sends it before, and the engine ignores it",
	"GET /containers/{id}/attach/ws stderr":      "documented from 1.42 on; docker-py sends it before, and the engine ignores it",
}

// lists are parameters that the engine reads all of, where the documents say that
// they are one text.
var lists = map[string]string{
	"POST /build t":                   "a tag each",
	"POST /build extrahosts":          "an entry each",
	"POST /build securityopt":         "an option each",
	"POST /commit changes":            "an instruction each",
	"GET /images/get platform":        "one text until 1.51",
	"GET /images/{name}/get platform": "one text until 1.51",
	"POST /images/load platform":      "one text until 1.51",
}

// documentedAs is an endpoint's name in the documents, where {name} may stand for
// several segments.
func documentedAs(e *Endpoint) string {
	return e.Method + " " + strings.ReplaceAll(e.Pattern, "...}", "}")
}

// compareRoutes lists where the table and the documents differ in routes and
// parameters.
func compareRoutes(docs map[Version]*document, table []Endpoint) (complaints []string) {
	complain := func(format string, args ...any) { complaints = append(complaints, fmt.Sprintf(format, args...)) }
	byName := map[string]*Endpoint{}
	for i := range table {
		e := &table[i]
		if byName[documentedAs(e)] != nil {
			complain("%s is there twice", documentedAs(e))
		}
		byName[documentedAs(e)] = e
	}
	seen, seenParams := map[string][]Version{}, map[string][]Version{}
	for v := Oldest; v <= Newest; v++ {
		for path, operations := range docs[v].Paths {
			for method, op := range operations {
				name := strings.ToUpper(method) + " " + path
				e := byName[name]
				if e == nil || !v.within(e.Since, e.Last) {
					complain("API %s has %s, and the table does not", v, name)
					continue
				}
				seen[name] = append(seen[name], v)
				for _, p := range op.Parameters {
					if p.In != "query" {
						continue
					}
					at := e.param(p.Name)
					if at < 0 || !v.within(e.Query[at].Since, e.Query[at].Last) {
						complain("API %s has the parameter %s of %s, and the table does not", v, p.Name, name)
						continue
					}
					seenParams[name+" "+p.Name] = append(seenParams[name+" "+p.Name], v)
					if many := p.Type == "array" || lists[name+" "+p.Name] != ""; many != e.Query[at].Many {
						complain("API %s: the parameter %s of %s may be given more than once: %t", v, p.Name, name, many)
					}
				}
				if want := documentedBody(op); !slices.Contains(want, e.Body.Kind) {
					complain("API %s: %s has the body %v, and the table says %v", v, name, want, e.Body.Kind)
				}
				if streams(op) && e.Answer == Plain {
					complain("API %s: the answer of %s is a stream", v, name)
				}
			}
		}
	}
	for i := range table {
		e := &table[i]
		name := documentedAs(e)
		if undocumented[e.String()] != "" {
			if seen[name] != nil {
				complain("%s is documented", name)
			}
			continue
		}
		if len(seen[name]) != int(e.Last-e.Since)+1 {
			complain("%s is documented in %v, and the table says %s to %s", name, seen[name], e.Since, e.Last)
		}
		for _, p := range e.Query {
			vs, key := seenParams[name+" "+p.Name], name+" "+p.Name
			within := int(min(p.Last, e.Last)-max(p.Since, e.Since)) + 1
			if len(vs) != within && undocumentedParams[key] == "" {
				complain("the parameter %s of %s is documented in %v, and the table says %s to %s", p.Name, name, vs, p.Since, p.Last)
			}
			if len(vs) == within && undocumentedParams[key] != "" {
				complain("the parameter %s of %s is documented", p.Name, name)
			}
		}
	}
	slices.Sort(complaints)
	return complaints
}

// documentedBody gives the kinds that a documented body may be here.
func documentedBody(op *operation) []BodyKind {
	switch s := op.body(); {
	case s == nil:
		return []BodyKind{None, Raw}
	case s.Type == "string":
		return []BodyKind{Tar}
	}
	return []BodyKind{JSON}
}

func streams(op *operation) bool {
	return slices.ContainsFunc(op.Produces, func(p string) bool {
		return strings.HasPrefix(p, "application/vnd.docker.") || p == "application/x-tar" || p == "application/octet-stream"
	})
}

// TestRoutesAreTheAPIs: each route and parameter of each version's document is in the
// table, in just these versions, and nothing else but what is listed with a reason.
func TestRoutesAreTheAPIs(t *testing.T) {
	for _, complaint := range compareRoutes(specs(t), table) {
		t.Error(complaint)
	}
}

// TestNewRoutesAreNoticed: the comparison complains of what a newer API might bring.
func TestNewRoutesAreNoticed(t *testing.T) {
	docs := specs(t)
	newest := docs[Newest]
	defer func() { docs[Newest] = newest }()
	for name, tc := range map[string]struct {
		change func(d *document)
		want   string
	}{
		"a path": {func(d *document) {
			d.Paths["/containers/{id}/teleport"] = map[string]*operation{"post": {}}
		}, "API 1.56 has POST /containers/{id}/teleport, and the table does not"},
		"a method": {func(d *document) {
			d.Paths["/info"] = map[string]*operation{"get": d.Paths["/info"]["get"], "put": {}}
		}, "API 1.56 has PUT /info, and the table does not"},
		"a parameter": {func(d *document) {
			d.Paths["/images/create"] = map[string]*operation{"post": parse[operation](t, "parameters: [{name: unpack, in: query, type: string}]")}
		}, "API 1.56 has the parameter unpack of POST /images/create, and the table does not"},
		"a parameter gone": {func(d *document) {
			d.Paths["/containers/{id}/kill"] = map[string]*operation{"post": {}}
		}, "the parameter signal of POST /containers/{id}/kill is documented in [1.40 1.41 1.42 1.43 1.44 1.45 1.46 1.47 1.48 1.49 1.50 1.51 1.52 1.53 1.54 1.55], and the table says 1.40 to 1.56"},
		"a path gone": {func(d *document) { delete(d.Paths, "/session") },
			"POST /session is documented in [1.40 1.41 1.42 1.43 1.44 1.45 1.46 1.47 1.48 1.49 1.50 1.51 1.52 1.53 1.54 1.55], and the table says 1.40 to 1.56"},
		"a body": {func(d *document) {
			d.Paths["/session"] = map[string]*operation{"post": parse[operation](t, "parameters: [{name: b, in: body, schema: {type: object}}]")}
		}, "API 1.56: POST /session has the body [JSON], and the table says raw"},
		"a stream": {func(d *document) {
			d.Paths["/info"] = map[string]*operation{"get": parse[operation](t, "produces: [application/x-tar]")}
		}, "API 1.56: the answer of GET /info is a stream"},
	} {
		changed := &document{Paths: map[string]map[string]*operation{}, Definitions: newest.Definitions}
		for path, operations := range newest.Paths {
			changed.Paths[path] = operations
		}
		tc.change(changed)
		docs[Newest] = changed
		if got := compareRoutes(docs, table); !slices.Contains(got, tc.want) {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

// TestTable: what every row must keep to.
func TestTable(t *testing.T) {
	for _, e := range Endpoints() {
		if e.Class == "" || e.Effect.String() == "" || e.Answer.String() == "" || e.Judge > ServiceUpdate {
			t.Errorf("%s is %q, %s, %s", &e, e.Class, e.Effect, e.Answer)
		}
		if len(e.Query) > 64 || len(e.variables) > maxVariables {
			t.Errorf("%s has %d parameters and %d variables", &e, len(e.Query), len(e.variables))
		}
		if (e.Body.Kind == JSON) != (e.Body.Type != nil) {
			t.Errorf("%s has the body %v of type %v", &e, e.Body.Kind, e.Body.Type)
		}
		if e.Method == "GET" && e.Effect == Mutate && e.Pattern != "/containers/{id}/attach/ws" || e.Method == "PUT" && e.Effect != Mutate || e.Method == "DELETE" && e.Effect != Mutate {
			t.Errorf("%s is a %s", &e, e.Effect)
		}
		if e.Method == "POST" && e.Effect != Mutate && e.Judge != ByClass && e.Judge != ArchiveGet {
			t.Errorf("%s is a %s, and judged by %s", &e, e.Effect, e.Judge)
		}
		if e.Judge == Free && e.Effect != Read || e.Judge == Ending && e.Effect != Mutate {
			t.Errorf("%s is a %s, and judged by %s", &e, e.Effect, e.Judge)
		}
		if (e.Body.Kind == Raw) && e.Answer != Hijack {
			t.Errorf("%s has a raw body, and its answer is %s", &e, e.Answer)
		}
	}
	names := map[string]bool{}
	for j := ByClass; j <= ServiceUpdate; j++ {
		names[j.String()] = true
	}
	if len(names) != int(ServiceUpdate)+1 || names[""] {
		t.Errorf("the judges' names are %v", names)
	}
	for e := range undocumented {
		if !slices.ContainsFunc(table, func(row Endpoint) bool { return row.String() == e }) {
			t.Errorf("%s is listed as undocumented, and not in the table", e)
		}
	}
}
