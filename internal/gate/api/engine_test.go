package api

import (
	"maps"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// engineRoutes are the engine's routes in the order in which it tries them, with its
// own patterns: gorilla/mux matches them against the decoded path. {name} is one
// segment, {name:.*} anything. Both a path with and one without version match.
const engineRoutes = `
GET    /containers/{id:.*}/checkpoints
POST   /containers/{id:.*}/checkpoints
DELETE /containers/{id}/checkpoints/{checkpoint}
HEAD   /containers/{id:.*}/archive
GET    /containers/json
GET    /containers/{id:.*}/export
GET    /containers/{id:.*}/changes
GET    /containers/{id:.*}/json
GET    /containers/{id:.*}/top
GET    /containers/{id:.*}/logs
GET    /containers/{id:.*}/stats
GET    /containers/{id:.*}/attach/ws
GET    /exec/{id:.*}/json
GET    /containers/{id:.*}/archive
POST   /containers/create
POST   /containers/{id:.*}/kill
POST   /containers/{id:.*}/pause
POST   /containers/{id:.*}/unpause
POST   /containers/{id:.*}/restart
POST   /containers/{id:.*}/start
POST   /containers/{id:.*}/stop
POST   /containers/{id:.*}/wait
POST   /containers/{id:.*}/resize
POST   /containers/{id:.*}/attach
POST   /containers/{id:.*}/copy
POST   /containers/{id:.*}/exec
POST   /exec/{id:.*}/start
POST   /exec/{id:.*}/resize
POST   /containers/{id:.*}/rename
POST   /containers/{id:.*}/update
POST   /containers/prune
POST   /commit
PUT    /containers/{id:.*}/archive
DELETE /containers/{id:.*}
GET    /images/json
GET    /images/search
GET    /images/get
GET    /images/{name:.*}/get
GET    /images/{name:.*}/history
GET    /images/{name:.*}/json
GET    /images/{name:.*}/attestations
POST   /images/load
POST   /images/create
POST   /images/{name:.*}/push
POST   /images/{name:.*}/tag
POST   /images/prune
DELETE /images/{name:.*}
OPTIONS /{path:.*}
GET    /_ping
HEAD   /_ping
GET    /events
GET    /info
GET    /version
GET    /system/df
POST   /auth
GET    /volumes
GET    /volumes/{name:.*}
POST   /volumes/create
POST   /volumes/prune
PUT    /volumes/{name:.*}
DELETE /volumes/{name:.*}
POST   /build
POST   /build/prune
POST   /build/cancel
POST   /session
POST   /swarm/init
POST   /swarm/join
POST   /swarm/leave
GET    /swarm
GET    /swarm/unlockkey
POST   /swarm/update
POST   /swarm/unlock
GET    /services
GET    /services/{id}
POST   /services/create
POST   /services/{id}/update
DELETE /services/{id}
GET    /services/{id}/logs
GET    /nodes
GET    /nodes/{id}
DELETE /nodes/{id}
POST   /nodes/{id}/update
GET    /tasks
GET    /tasks/{id}
GET    /tasks/{id}/logs
GET    /secrets
POST   /secrets/create
DELETE /secrets/{id}
GET    /secrets/{id}
POST   /secrets/{id}/update
GET    /configs
POST   /configs/create
DELETE /configs/{id}
GET    /configs/{id}
POST   /configs/{id}/update
GET    /plugins
GET    /plugins/{name:.*}/json
GET    /plugins/privileges
DELETE /plugins/{name:.*}
POST   /plugins/{name:.*}/enable
POST   /plugins/{name:.*}/disable
POST   /plugins/pull
POST   /plugins/{name:.*}/push
POST   /plugins/{name:.*}/upgrade
POST   /plugins/{name:.*}/set
POST   /plugins/create
GET    /distribution/{name:.*}/json
GET    /networks
GET    /networks/
GET    /networks/{id:.+}
POST   /networks/create
POST   /networks/{id:.*}/connect
POST   /networks/{id:.*}/disconnect
POST   /networks/prune
DELETE /networks/{id:.*}
GET    /debug/vars
GET    /debug/pprof/
GET    /debug/pprof/cmdline
GET    /debug/pprof/profile
GET    /debug/pprof/symbol
GET    /debug/pprof/trace
GET    /debug/pprof/{name}
POST   /grpc
`

type engineRoute struct {
	method  string
	pattern string // without the expressions of its variables
	path    *regexp.Regexp
}

// readEngineRoutes compiles them as gorilla/mux does: anchored at both ends.
func readEngineRoutes() (all []engineRoute) {
	variable := regexp.MustCompile(`\{(\w+)(?::([^}]+))?\}`)
	for line := range strings.Lines(strings.TrimSpace(engineRoutes)) {
		fields := strings.Fields(line)
		for _, prefix := range []string{"/v{version:[0-9.]+}", ""} {
			expression := variable.ReplaceAllStringFunc(prefix+fields[1], func(v string) string {
				parts := variable.FindStringSubmatch(v)
				if parts[2] == "" {
					parts[2] = "[^/]+"
				}
				return "(?P<" + parts[1] + ">" + parts[2] + ")"
			})
			all = append(all, engineRoute{fields[0], variable.ReplaceAllString(fields[1], "{$1}"), regexp.MustCompile("^" + expression + "$")})
		}
	}
	return all
}

// engineFinds says what the engine makes of a request line: net/http parses and
// decodes the target, gorilla/mux sends whoever asks for an unclean path elsewhere,
// and the first route that matches has it.
func engineFinds(all []engineRoute, method, target string) (pattern string, variables map[string]string, query url.Values, ok bool) {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return "", nil, nil, false
	}
	clean := path.Clean(u.Path)
	if strings.HasSuffix(u.Path, "/") && clean != "/" {
		clean += "/"
	}
	if clean != u.Path {
		return "", nil, nil, false
	}
	for _, r := range all {
		found := r.path.FindStringSubmatch(u.Path)
		if r.method != method || found == nil {
			continue
		}
		variables = map[string]string{}
		for i, name := range r.path.SubexpNames() {
			if name != "" {
				variables[name] = found[i]
			}
		}
		query, err = url.ParseQuery(u.RawQuery)
		return r.pattern, variables, query, err == nil
	}
	return "", nil, nil, false
}

// agree checks that a request line means to the engine what it means here, if it is
// accepted here.
func agree(t *testing.T, all []engineRoute, method, target string) {
	t.Helper()
	m, refusal := Find(method, target)
	if refusal != nil {
		if refusal.Message == "" || refusal.Status < 400 || strings.ContainsFunc(refusal.Message, func(r rune) bool { return r < ' ' }) {
			t.Errorf("%s %q is refused by %d %q", method, target, refusal.Status, refusal.Message)
		}
		return
	}
	pattern, variables, query, ok := engineFinds(all, method, target)
	if !ok {
		t.Fatalf("%s %q is %s here, and nothing to the engine", method, target, m.Endpoint)
	}
	if ours := strings.ReplaceAll(m.Endpoint.Pattern, "...}", "}"); ours != pattern {
		t.Fatalf("%s %q is %s here, and %s to the engine", method, target, ours, pattern)
	}
	if variables["version"] != m.Version.String() {
		t.Errorf("%s %q is version %q here, and %q to the engine", method, target, m.Version, variables["version"])
	}
	for _, name := range m.Endpoint.variables {
		if m.Var(name) != variables[name] {
			t.Errorf("%s %q: %s is %q here, and %q to the engine", method, target, name, m.Var(name), variables[name])
		}
		// Decoded once more, it is the same.
		if again, err := url.PathUnescape(m.Var(name)); err != nil || again != m.Var(name) {
			t.Errorf("%s %q: %s is %q, and decoded once more %q", method, target, name, m.Var(name), again)
		}
	}
	ours := url.Values{}
	for _, v := range m.Query {
		ours.Add(v.Name, v.Value)
	}
	maps.DeleteFunc(query, func(name string, _ []string) bool { return !ours.Has(name) && m.Endpoint.inBody(name) })
	if !maps.EqualFunc(ours, query, slices.Equal) {
		t.Errorf("%s %q: the query is %q here, and %q to the engine", method, target, ours, query)
	}
}

// TestEngineRoutes: the table has the engine's routes, all of them and no other.
func TestEngineRoutes(t *testing.T) {
	all := readEngineRoutes()
	theirs := map[string]bool{}
	for _, r := range all {
		theirs[r.method+" "+r.pattern] = true
	}
	ours := map[string]bool{}
	for i := range table {
		ours[documentedAs(&table[i])] = true
	}
	if !maps.Equal(ours, theirs) {
		t.Errorf("here %v\nthere %v", ours, theirs)
	}
	// Every row, with names that are words of other rows, means the same to both.
	words := []string{"web"}
	for i := range table {
		words = append(words, table[i].segments...)
	}
	words = slices.DeleteFunc(words, func(w string) bool { return strings.HasPrefix(w, "{") })
	slices.Sort(words)
	tried := map[string]bool{}
	for i := range table {
		for n, word := range slices.Compact(words) {
			for _, many := range []string{word, word + "/json", "a%2F" + word} {
				path, _ := example(&table[i], word, many)
				if n%2 == 1 {
					path = "/v1.44" + path
				}
				if !tried[table[i].Method+path] {
					tried[table[i].Method+path] = true
					agree(t, all, table[i].Method, path)
				}
			}
		}
	}
}

// FuzzFind: whatever is accepted means to the engine what it means here.
func FuzzFind(f *testing.F) {
	for i := range table {
		path, _ := example(&table[i], "some", "some/name")
		f.Add(table[i].Method, path)
	}
	for _, target := range []string{
		"/v1.41/containers/create?name=a&platform=linux%2Famd64", "/v01.41/containers/create", "/v1.12/containers/a/start", "/containers/%63reate",
		"//containers/create", "/containers/../containers/create", "/containers/create/", "/V1.41/info", "/containers/create?x=/auth",
		"/images/library%2Fnginx%3A1/json", "/images/a@sha256:0/json", "/containers/a%2fjson", "/containers/a%252fb/json", "/images/%2e%2e/json",
		"/containers/json?all=1;size=1", "/build?t=a&t=b&networkmode=host", "/networks/", "/networks/a%20b", "/images/a/json/json", "http://x/info",
	} {
		f.Add("GET", target)
		f.Add("POST", target)
		f.Add("DELETE", target)
	}
	all := readEngineRoutes()
	f.Fuzz(func(t *testing.T, method, target string) { agree(t, all, method, target) })
}

// FuzzForm: the parameters of a request that is accepted are to the engine those of its
// query, whatever its body is said to be: its handlers read the two as one.
func FuzzForm(f *testing.F) {
	for i := range table {
		path, _ := example(&table[i], "some", "some/name")
		for _, media := range []string{"", "application/json", "application/x-tar", "application/x-www-form-urlencoded", "Application/X-WWW-Form-Urlencoded; charset=utf-8",
			"application/x-www-form-urlencoded\t;", "multipart/form-data; boundary=a", "application/x-www-form-urlencoded,application/json", "text/plain"} {
			f.Add(table[i].Method, path, media, "fromImage=a&t=1&repo=x")
		}
	}
	f.Fuzz(func(t *testing.T, method, target, media, body string) {
		m, refusal := Find(method, target)
		if refusal != nil || m.Endpoint.Takes(media, body == "") != nil {
			return
		}
		r, err := http.NewRequest(method, "http://docker", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if r.URL, err = url.ParseRequestURI(target); err != nil {
			t.Fatal(err)
		}
		if media != "" {
			r.Header.Set("Content-Type", media)
		}
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			t.Fatal(err)
		}
		// As moby's httputils.ParseForm: that a body has no known type is no error.
		if err := r.ParseForm(); err != nil && !strings.HasPrefix(err.Error(), "mime:") {
			return // the engine refuses it
		}
		if !maps.EqualFunc(query, r.Form, slices.Equal) {
			t.Errorf("%s %q of type %q: the engine reads %q, and the query is %q", method, target, media, r.Form, query)
		}
	})
}
