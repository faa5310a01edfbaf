package api

import (
	"slices"
	"strings"
	"testing"
)

// TestEveryEndpointIsFound: each row of the table is found by its own path, with
// every version that has it and without, and by no other version.
func TestEveryEndpointIsFound(t *testing.T) {
	for _, e := range Endpoints() {
		path, values := example(&e, "some", "some/name")
		for v := Version(0); v <= Newest+1; v++ {
			target := path
			if v > 0 {
				target = "/v" + v.String() + path
			}
			m, refusal := Find(e.Method, target)
			read := v // older versions are read as the oldest that the table covers
			if v >= oldestAsked {
				read = max(v, Oldest)
			}
			has := e.Last >= Oldest && (v == 0 || read >= max(e.Since, Oldest) && read <= e.Last)
			if (refusal == nil) != has {
				t.Errorf("%s %s: %v", e.Method, target, refusal)
			}
			if !has || refusal != nil {
				continue
			}
			if m.Endpoint.String() != e.String() || m.Version != read {
				t.Errorf("%s %s is %s of version %q", e.Method, target, m.Endpoint, m.Version)
			}
			for i, name := range e.variables {
				if m.Var(name) != values[i] {
					t.Errorf("%s %s: %s is %q", e.Method, target, name, m.Var(name))
				}
			}
			if m.Var("other") != "" {
				t.Errorf("%s has another variable", target)
			}
		}
	}
}

// example gives a path of the pattern.
func example(e *Endpoint, one, many string) (path string, values []string) {
	for _, s := range e.segments {
		switch {
		case strings.HasSuffix(s, "...}"):
			s = many
			values = append(values, s)
		case strings.HasPrefix(s, "{"):
			s = one
			values = append(values, s)
		}
		path += "/" + s
	}
	return path, values
}

// TestFindRefuses has a hostile request line in each row, and an ordinary one beside
// it that must pass.
func TestFindRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, method, target string
		status               int
		message              string // a part of it
		twin                 string // the target that passes
	}{
		{"double slash", "POST", "//containers/create", 400, "is not canonical", "/containers/create"},
		{"double slash inside", "POST", "/v1.41//containers/create", 400, "is not canonical", "/v1.41/containers/create"},
		{"double slash before a name", "POST", "/containers//web/start", 400, "is not canonical", "/containers/web/start"},
		{"dot segment", "POST", "/containers/./create", 400, "is not canonical", "/containers/create"},
		{"dot segments", "POST", "/v1.41/info/../containers/create", 400, "is not canonical", "/v1.41/containers/create"},
		{"dot segments at the end", "GET", "/containers/web/json/..", 400, "is not canonical", "/containers/web/json"},
		{"encoded dot segments", "GET", "/containers/%2e%2e/json", 400, "is not canonical", "/containers/%2e%2e.x/json"},
		{"encoded dot segments in a name", "GET", "/images/a%2F..%2Fb/json", 400, "is not canonical", "/images/a%2F..b/json"},
		{"encoded letter of a fixed word", "POST", "/containers/%63reate", 404, "only names may be percent-encoded", "/containers/create"},
		{"encoded letter of the first word", "POST", "/%63ontainers/create", 404, "page not found", "/containers/create"},
		{"encoded version", "POST", "/%76%31.41/containers/create", 404, "page not found", "/v1.41/containers/create"},
		{"encoded slash for a fixed word", "POST", "/containers%2Fcreate", 404, "page not found", "/containers/create"},
		{"encoded slash before a fixed word", "GET", "/images/web%2Fjson", 404, "page not found", "/images/web/json"},
		{"encoded slash in a container's name", "GET", "/containers/a%2Fb/json", 400, `has "/"`, "/containers/ab/json"},
		{"encoded slash at the end", "GET", "/networks/a%2F", 400, "is not canonical", "/networks/a"},
		{"two encoded slashes", "GET", "/images/a%2F%2Fb/json", 400, "is not canonical", "/images/a%2Fb/json"},
		{"encoded twice", "GET", "/containers/%252e%252e/json", 400, "which no name here has", "/containers/a/json"},
		{"encoded question mark", "GET", "/containers/a%3fb/json", 400, "which no name here has", "/containers/ab/json?size=1"},
		{"encoded hash", "GET", "/containers/a%23/json", 400, "which no name here has", "/containers/a/json"},
		{"encoded backslash", "GET", "/containers/a%5c..%5cb/json", 400, "which no name here has", "/containers/a..b/json"},
		{"encoded line feed", "GET", "/containers/a%0d%0ab/json", 400, "which no name here has", "/containers/ab/json"},
		{"encoded zero", "GET", "/containers/a%00/json", 400, "which no name here has", "/containers/a/json"},
		{"no UTF-8", "GET", "/networks/%ff", 400, "is not UTF-8 text", "/networks/r%C3%A9seau"},
		{"half an escape", "GET", "/containers/a%4/json", 400, "begins no escape", "/containers/a%41/json"},
		{"escape of no digits", "GET", "/networks/a%zz", 400, "begins no escape", "/networks/a%7A"},
		{"escape cut off", "GET", "/networks/a%", 400, "begins no escape", "/networks/a"},
		{"trailing slash", "POST", "/containers/create/", 404, "page not found", "/containers/create"},
		{"trailing slash behind a name", "DELETE", "/containers/web/", 404, "page not found", "/containers/web"},
		{"upper case version", "GET", "/V1.41/info", 400, "no version of the Engine API as it is written", "/v1.41/info"},
		{"leading zero", "POST", "/v01.41/containers/create", 400, "no version of the Engine API as it is written", "/v1.41/containers/create"},
		{"leading zero of the minor", "POST", "/v1.041/containers/create", 400, "as it is written", "/v1.41/containers/create"},
		{"three parts", "POST", "/v1.41.0/containers/create", 400, "as it is written", "/v1.41/containers/create"},
		{"points", "POST", "/v1..41/containers/create", 400, "as it is written", "/v1.41/containers/create"},
		{"no point", "POST", "/v1/containers/create", 400, "as it is written", "/v1.41/containers/create"},
		{"another major version", "POST", "/v2.41/containers/create", 400, "as it is written", "/v1.41/containers/create"},
		{"a sign", "POST", "/v1.+41/containers/create", 400, "as it is written", "/v1.41/containers/create"},
		{"legacy start with a body", "POST", "/v1.23/containers/web/start", 400, "client version 1.23 is too old. Minimum supported API version is 1.24", "/v1.24/containers/web/start"},
		{"too old", "GET", "/v1.23/info", 400, "set DOCKER_API_VERSION=1.40", "/v1.24/info"},
		{"too new", "GET", "/v1.57/info", 400, "client version 1.57 is too new. Maximum supported API version is 1.56", "/v1.56/info"},
		{"far too new", "GET", "/v1.999999999999999999999/info", 400, "as it is written", "/v1.56/info"},
		{"only a version", "GET", "/v1.41", 404, "page not found", "/v1.41/info"},
		{"only a version and a slash", "GET", "/v1.41/", 404, "page not found", "/v1.41/info"},
		{"version twice", "GET", "/v1.41/v1.41/info", 404, "page not found", "/v1.41/info"},
		{"version behind", "GET", "/info/v1.41", 404, "page not found", "/info"},
		{"podman's routes", "POST", "/v4.0.0/libpod/containers/create", 400, "as it is written", "/containers/create"},
		{"absolute form", "GET", "http://docker/info", 400, "is not a path", "/info"},
		{"no path", "GET", "", 400, "is not a path", "/info"},
		{"star", "OPTIONS", "*", 400, "is not a path", "/info"},
		{"space", "GET", "/containers/a b/json", 400, "which stands for itself in no path", "/containers/a%20b/json"},
		{"raw control", "GET", "/containers/a\x01/json", 400, `has "\x01"`, "/containers/a/json"},
		{"raw byte beyond ASCII", "GET", "/networks/r\xe9seau", 400, "write it percent-encoded", "/networks/r%C3%A9seau"},
		{"fragment", "GET", "/info#x", 400, `has "#"`, "/info"},
		{"backslash", "POST", `/containers\create`, 400, `has "\\"`, "/containers/create"},
		{"unknown route", "POST", "/containers/web/teleport", 404, "page not found", "/containers/web/start"},
		{"deeper than a route", "GET", "/containers/web/json/x", 404, "page not found", "/containers/web/json"},
		{"other method", "PUT", "/containers/create", 404, "which has POST and DELETE there", "/containers/web/archive"},
		{"method in lower case", "post", "/containers/create", 404, "which has POST and DELETE there", ""},
		{"HEAD where GET is", "HEAD", "/containers/web/json", 404, "which has GET there", "/containers/web/archive"},
		{"PATCH", "PATCH", "/containers/web", 404, "which has DELETE there", ""},
		{"removed", "POST", "/containers/web/copy", 404, "was removed from the Engine API in 1.24; use GET /containers/{id}/archive", "/containers/web/start"},
		{"removed, with a version", "POST", "/v1.41/containers/web/copy", 404, "was removed", "/v1.41/containers/web/start"},
		{"not yet there", "PUT", "/v1.41/volumes/a", 404, "requires API version 1.42 to 1.56, but the path asks for 1.41; set DOCKER_API_VERSION=1.42", "/v1.42/volumes/a"},
		{"a long path", "GET", "/" + strings.Repeat("x", 500), 404, `xxx..." is not in`, "/info"},
		{"native gRPC", "POST", "/moby.buildkit.v1.Control/Solve", 404, "page not found", "/grpc"},

		{"unknown parameter", "POST", "/containers/create?nmae=web", 400, `has no parameter "nmae"; leave it out. It has name, platform`, "/containers/create?name=web"},
		{"parameter in another case", "POST", "/containers/create?Name=web", 400, `has no parameter "Name"; write name`, "/containers/create?name=web"},
		{"parameter where there is none", "POST", "/containers/web/pause?x=/auth", 400, "it has none: leave it out", "/containers/web/pause"},
		{"parameter of a suffix", "POST", "/containers/create?x=/auth", 400, `has no parameter "x"`, "/containers/create?platform=linux"},
		{"twice", "POST", "/containers/create?name=web&name=db", 400, `the parameter "name" is given twice`, "/containers/create?name=web"},
		{"twice, once encoded", "POST", "/containers/create?name=web&n%61me=db", 400, `the parameter "name" is given twice`, "/containers/create?n%61me=db"},
		{"twice in a read", "GET", "/containers/web/archive?path=/a&path=/b", 400, `the parameter "path" is given twice`, "/containers/web/archive?path=/a"},
		{"a long name of a parameter", "POST", "/containers/create?" + strings.Repeat("%C3%A9", 100), 400, `éé..."`, "/containers/create"},
		{"semicolon", "POST", "/containers/create?name=web;platform=x", 400, "is not encoded as a parameter", "/containers/create?name=web%3Bx"},
		{"bad escape", "POST", "/containers/create?name=%zz", 400, "is not encoded as a parameter", "/containers/create?name=%7A"},
		{"bad escape in a read", "GET", "/containers/json?all=%", 400, "is not encoded as a parameter", "/containers/json?all=1"},
		{"space in a value", "GET", "/containers/json?all= 1", 400, "is not encoded as a parameter", "/containers/json?all=+1"},
		{"no name", "POST", "/containers/create?=x", 400, `has no parameter ""`, "/containers/create?"},
		{"from another version", "POST", "/v1.40/containers/create?platform=linux", 400, `"platform" is in API 1.41 to 1.56, and the path asks for 1.40`, "/v1.41/containers/create?platform=linux"},
		{"gone in the version", "POST", "/v1.52/build/prune?keep-storage=1", 400, `"keep-storage" is in API 1.40 to 1.51`, "/v1.51/build/prune?keep-storage=1"},
		{"host network of a build in other words", "POST", "/build?networkMode=host", 400, "write networkmode", "/build?networkmode=default"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, refusal := Find(tc.method, tc.target)
			switch {
			case refusal == nil:
				t.Fatalf("%s %s passed", tc.method, tc.target)
			case tc.status != refusal.Status || !strings.Contains(refusal.Message, tc.message):
				t.Errorf("%s %s: %d %s", tc.method, tc.target, refusal.Status, refusal.Message)
			}
			if tc.twin == "" {
				return
			}
			method := tc.method
			if _, refusal := Find(method, tc.twin); refusal != nil {
				t.Errorf("the twin %s %s: %v", method, tc.twin, refusal)
			}
		})
	}
}

// TestOrdinaryTargets: what docker's own client, docker-py, dockerode and people with
// curl send, and what it is understood as.
func TestOrdinaryTargets(t *testing.T) {
	for _, tc := range []struct {
		method, target string
		endpoint       string
		variables      string
		query          string
	}{
		// docker's own client joins paths and leaves : and @ as they are.
		{"GET", "/v1.41/images/registry.example:5000/shop/api@sha256:0f/json", "GET /images/{name...}/json", "registry.example:5000/shop/api@sha256:0f", ""},
		{"POST", "/v1.41/images/create?fromImage=nginx&tag=latest", "POST /images/create", "", "fromImage=nginx tag=latest"},
		{"GET", "/_ping", "GET /_ping", "", ""},
		{"HEAD", "/_ping", "HEAD /_ping", "", ""},
		{"GET", "/v1.41/containers/json?filters=%7B%22label%22%3A%7B%22a%3Db%22%3Atrue%7D%7D&limit=0", "GET /containers/json", "", `filters={"label":{"a=b":true}} limit=0`},
		{"POST", "/v1.41/commit?author=&changes=CMD+a&changes=ENV+b%3Dc&container=web&repo=r", "POST /commit", "", "author= changes=CMD a changes=ENV b=c container=web repo=r"},
		{"POST", "/v1.41/build?t=a&t=b&rm=1&buildargs=%7B%7D&networkmode=default", "POST /build", "", "t=a t=b rm=1 buildargs={} networkmode=default"},
		{"GET", "/v1.41/images/get?names=a&names=b", "GET /images/get", "", "names=a names=b"},
		// docker-py quotes all but / and :.
		{"GET", "/v1.41/images/shop/api%40sha256%3A0f/json", "GET /images/{name...}/json", "shop/api@sha256:0f", ""},
		{"GET", "/v1.41/containers/json?limit=-1&all=1&size=0&trunc_cmd=0", "GET /containers/json", "", "limit=-1 all=1 size=0 trunc_cmd=0"},
		{"POST", "/v1.41/images/nginx/tag?tag=1&repo=mine&force=0", "POST /images/{name...}/tag", "nginx", "tag=1 repo=mine force=0"},
		// Angular and others encode all of a name.
		{"DELETE", "/images/library%2Fnginx%3A1.25?force=true&noprune=false", "DELETE /images/{name...}", "library/nginx:1.25", "force=true noprune=false"},
		{"GET", "/distribution/library%2Fnginx/json", "GET /distribution/{name...}/json", "library/nginx", ""},
		// dockerode puts what is for the body into the query too.
		{"POST", "/containers/create?Image=nginx&HostConfig=%7B%7D&name=web", "POST /containers/create", "", "name=web"},
		// By hand.
		{"GET", `/containers/json?filters={"status":["running"]}`, "GET /containers/json", "", `filters={"status":["running"]}`},
		{"GET", "/containers/web/logs?stdout&stderr=1&&tail=10", "GET /containers/{id}/logs", "web", "stdout= stderr=1 tail=10"},
		{"GET", "/networks/", "GET /networks/", "", ""},
		{"GET", "/networks/my%20net", "GET /networks/{id...}", "my net", ""},
		{"GET", "/volumes/nfs.example/export/data", "GET /volumes/{name...}", "nfs.example/export/data", ""},
		{"GET", "/debug/pprof/", "GET /debug/pprof/", "", ""},
		{"OPTIONS", "/containers/web/json", "OPTIONS /{path...}", "containers/web/json", ""},
		// Names that are words of the API.
		{"GET", "/containers/json/json", "GET /containers/{id}/json", "json", ""},
		{"POST", "/containers/create/start", "POST /containers/{id}/start", "create", ""},
		{"DELETE", "/containers/prune", "DELETE /containers/{id}", "prune", ""},
		{"GET", "/images/json/json", "GET /images/{name...}/json", "json", ""},
		{"GET", "/images/get/get", "GET /images/{name...}/get", "get", ""},
		{"GET", "/images/a/json/history", "GET /images/{name...}/history", "a/json", ""},
		{"DELETE", "/images/load", "DELETE /images/{name...}", "load", ""},
		{"GET", "/networks/create", "GET /networks/{id...}", "create", ""},
		{"POST", "/networks/create/connect", "POST /networks/{id...}/connect", "create", ""},
		{"GET", "/volumes/prune", "GET /volumes/{name...}", "prune", ""},
		{"GET", "/services/create", "GET /services/{id}", "create", ""},
		{"GET", "/debug/pprof/heap", "GET /debug/pprof/{name}", "heap", ""},
		{"DELETE", "/containers/web/checkpoints/first", "DELETE /containers/{id}/checkpoints/{checkpoint}", "web first", ""},
		{"GET", "/containers/v1.41/json", "GET /containers/{id}/json", "v1.41", ""},
	} {
		m, refusal := Find(tc.method, tc.target)
		if refusal != nil {
			t.Errorf("%s %s: %v", tc.method, tc.target, refusal)
			continue
		}
		var query []string
		for _, v := range m.Query {
			query = append(query, v.Name+"="+v.Value)
		}
		variables := strings.TrimSpace(strings.Join(m.values[:], " "))
		if m.Endpoint.String() != tc.endpoint || variables != tc.variables || strings.Join(query, " ") != tc.query {
			t.Errorf("%s %s is %s, %q, %q", tc.method, tc.target, m.Endpoint, variables, query)
		}
	}
}

func TestQuery(t *testing.T) {
	m, refusal := Find("GET", "/containers/web/logs?follow=1&stdout=True&stderr=+No+&tail=&details=2")
	if refusal != nil {
		t.Fatal(refusal)
	}
	for name, want := range map[string]bool{"follow": true, "stdout": true, "stderr": false, "tail": false, "details": true, "timestamps": false} {
		if m.Query.Bool(name) != want {
			t.Errorf("%s is %t", name, !want)
		}
	}
	if !m.Query.Has("tail") || m.Query.Has("since") || m.Query.Get("details") != "2" {
		t.Errorf("query %v", m.Query)
	}
	m, refusal = Find("POST", "/build?t=a&t=b")
	if refusal != nil || !slices.Equal(m.Query.All("t"), []string{"a", "b"}) || m.Query.Get("t") != "a" {
		t.Errorf("query %v, %v", m.Query, refusal)
	}
}

// TestTakes: a body that the engine would read parameters from is refused, as is one
// that it would not read.
func TestTakes(t *testing.T) {
	endpoint := func(method, path string) *Endpoint {
		m, refusal := Find(method, path)
		if refusal != nil {
			t.Fatal(refusal)
		}
		return m.Endpoint
	}
	create, pull, start, build := endpoint("POST", "/containers/create"), endpoint("POST", "/images/create"), endpoint("POST", "/containers/web/start"), endpoint("POST", "/build")
	for _, tc := range []struct {
		endpoint *Endpoint
		media    string
		empty    bool
		passes   bool
	}{
		{create, "application/json", false, true},
		{create, "application/json; charset=utf-8", false, true},
		{create, "Application/JSON;x=y", false, true},
		{create, "", false, false},
		{create, "text/plain", false, false},
		{create, "application/x-www-form-urlencoded", false, false},
		{create, "application/jsonx", false, false},
		{pull, "application/x-www-form-urlencoded", false, false}, // fromImage in it would win over the query's
		{pull, "Application/X-WWW-Form-Urlencoded; charset=utf-8", false, false},
		{pull, "multipart/form-data; boundary=x", false, false},
		{pull, "application/x-www-form-urlencoded", true, true}, // curl -d ''
		{pull, "application/json", false, true},                 // dockerode
		{pull, "", false, true},
		{start, "text/plain", true, true},
		{start, "application/x-www-form-urlencoded", false, false},
		{build, "application/x-tar", false, true},
		{build, "application/tar", false, true},
		{build, "multipart/form-data; boundary=x", false, false},
	} {
		if refusal := tc.endpoint.Takes(tc.media, tc.empty); (refusal == nil) != tc.passes {
			t.Errorf("%s with %q: %v", tc.endpoint, tc.media, refusal)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	for name, target := range map[string]string{
		"list":    "/v1.41/containers/json?all=1",
		"inspect": "/v1.41/containers/4f5e6d7c8b9a4f5e6d7c8b9a4f5e6d7c8b9a4f5e6d7c8b9a4f5e6d7c8b9a4f5e/json",
		"image":   "/v1.41/images/registry.example:5000/shop/api@sha256:0f/json",
		"filters": "/v1.41/containers/json?filters=%7B%22label%22%3A%7B%22a%3Db%22%3Atrue%7D%7D&limit=0",
		"ping":    "/_ping",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, refusal := Find("GET", target); refusal != nil {
					b.Fatal(refusal)
				}
			}
		})
	}
}
