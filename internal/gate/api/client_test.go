package api

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

// recorder is a server that understands each request as the gate does, and answers
// that it has.
type recorder struct {
	sync.Mutex
	reached  map[string]bool // endpoints
	refusals []string
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	r.Lock()
	defer r.Unlock()
	name, refusal := understand(req.Method, req.RequestURI, req.Header.Get("Content-Type"), body)
	switch {
	case err != nil:
		r.refusals = append(r.refusals, err.Error())
	case refusal != nil:
		r.refusals = append(r.refusals, req.Method+" "+req.RequestURI+" "+string(body)+": "+refusal.Message)
	}
	r.reached[name] = true
	if name == "GET /plugins/privileges" {
		_, _ = io.WriteString(w, "[]")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusTeapot)
	_, _ = io.WriteString(w, `{"message":"recorded"}`)
}

// understand is what the gate does with a request before it is judged.
func understand(method, target, contentType string, body []byte) (string, *Refusal) {
	m, refusal := Find(method, target)
	if refusal != nil {
		return "", refusal
	}
	if refusal := m.Endpoint.Takes(contentType, len(body) == 0); refusal != nil {
		return m.Endpoint.String(), refusal
	}
	_, _, refusal = Decode(m.Endpoint, m.Version, body)
	return m.Endpoint.String(), refusal
}

// TestOfficialClientPasses calls every method of docker's own client, with nothing
// but names in every version, and with everything that it can say in the newest.
func TestOfficialClientPasses(t *testing.T) {
	rec := &recorder{reached: map[string]bool{}}
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: rec}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	for v := Oldest; v <= Newest; v++ {
		c, err := client.New(client.WithHost("unix://"+socket), client.WithAPIVersion(v.String()))
		if err != nil {
			t.Fatal(err)
		}
		callAll(t, c, false)
		if v == Newest {
			callAll(t, c, true)
		}
		_ = c.Close()
	}
	rec.Lock()
	defer rec.Unlock()
	for _, refusal := range rec.refusals {
		t.Error(refusal)
	}
	var missed []string
	for i := range table {
		if e := &table[i]; !rec.reached[e.String()] && e.Class != Debug {
			missed = append(missed, e.String())
		}
	}
	slices.Sort(missed)
	// What that client has no method for.
	want := []string{"GET /containers/{id}/attach/ws", "GET /images/{name...}/get", "GET /networks/", "OPTIONS /{path...}",
		"POST /containers/{id}/copy", "POST /grpc", "POST /session"}
	if !slices.Equal(missed, want) {
		t.Errorf("not reached: %q", missed)
	}
}

// callAll calls the methods of a client, with all that they can be told, or just
// names.
func callAll(t *testing.T, c *client.Client, all bool) {
	t.Helper()
	value := reflect.ValueOf(c)
	for i := range value.NumMethod() {
		method, name := value.Method(i), value.Type().Method(i).Name
		typ := method.Type()
		if typ.NumIn() == 0 || typ.In(0) != reflect.TypeFor[context.Context]() || name == "DialHijack" {
			continue
		}
		if name == "VolumeUpdate" && (c.ClientVersion() == "1.40" || c.ClientVersion() == "1.41") {
			continue // it came with 1.42
		}
		args := []reflect.Value{reflect.ValueOf(t.Context())}
		for i := 1; i < typ.NumIn() && !(typ.IsVariadic() && i == typ.NumIn()-1); i++ {
			arg := reflect.New(typ.In(i)).Elem()
			switch {
			case typ.In(i) == reflect.TypeFor[io.Reader]():
				arg.Set(reflect.ValueOf(strings.NewReader("archive")))
			case all || typ.In(i).Kind() == reflect.String || typ.In(i).Kind() == reflect.Slice:
				fill(arg, 0)
			}
			switch options := arg.Addr().Interface().(type) {
			case *client.CheckpointRemoveOptions:
				options.CheckpointID = "some"
			case *client.ContainerCreateOptions:
				options.Image = "" // it is in the config
				if !all {
					options.Config, options.HostConfig, options.NetworkingConfig = &container.Config{Image: "some"}, &container.HostConfig{}, &network.NetworkingConfig{}
				}
			}
			args = append(args, arg)
		}
		for _, result := range method.Call(args) {
			finish(result)
		}
	}
}

// finish waits for requests that a method makes on its own.
func finish(result reflect.Value) {
	if result.Kind() != reflect.Struct {
		return
	}
	for i := range result.NumField() {
		if f := result.Field(i); f.Kind() == reflect.Chan && f.Type().Elem() == reflect.TypeFor[error]() {
			f.Recv()
		}
	}
}

// TestRecordedClientsPass: the requests of everyday commands, as clients sent them to
// a real engine, pass, and docker's own are forwarded as they were sent. A line of
// testdata is method, target, Content-Type and body; "archive" stands for one.
func TestRecordedClientsPass(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) != 3 {
		t.Fatalf("recordings %q, %v", files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		reached := map[string]bool{}
		for line := range strings.Lines(string(data)) {
			fields := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 4)
			method, target, contentType, body := fields[0], fields[1], fields[2], fields[3]
			if body == "-" {
				body = ""
			}
			name, refusal := understand(method, target, contentType, []byte(body))
			if refusal != nil {
				t.Errorf("%s: %s: %v", file, line, refusal)
				continue
			}
			reached[name] = true
			e := endpoint(t, name)
			if e.Body.Kind != JSON || body == "" || strings.Contains(file, "docker-py") {
				continue
			}
			m, _ := Find(method, target)
			tree, _, _ := Decode(e, m.Version, []byte(body))
			if string(Encode(tree)) != body {
				t.Errorf("%s: %s\nsent      %s\nforwarded %s", file, target, body, Encode(tree))
			}
		}
		if len(reached) < 60 {
			t.Errorf("%s reaches %d endpoints", file, len(reached))
		}
	}
}
