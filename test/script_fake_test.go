package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// fakeKey finds a script's fake.
type fakeKey struct{}

// fake is an engine on a real unix socket that replays what a Docker 20.10
// answered, for what a real one cannot be made to do at the right moment.
type fake struct {
	names []string
	// before sees each request first, and is true if it answered.
	before func(w http.ResponseWriter, path string) bool

	asked chan struct{} // closed when the list of containers is asked for
	ask   sync.Once
	held  chan struct{} // a held engine answers when it is closed; else nil
	let   sync.Once

	answers map[string][]byte
	inspect []byte
}

// fakes are the ways of a fake engine.
var fakes = map[string]func(*fake){
	"fine": func(*fake) {},
	// It has ten thousand containers.
	"crowded": func(f *fake) {
		f.names = nil
		for n := range 10_000 {
			f.names = append(f.names, fmt.Sprintf("job-%05d", n))
		}
	},
	// It has ten thousand images, of which one is run: most were built on one of a
	// hundred, and each has a history.
	"hoarding": func(f *fake) { f.before = hoard(f) },
	// Its images are not what images are.
	"false-images": func(f *fake) { f.before = falseImages(f) },
	// Its containers have names that nobody should print as they are.
	"hostile": func(f *fake) {
		f.names = []string{"a\x1b[2Jb", "line\nbreak", "right\u202etfel", "<b>bold</b>", "=1+1"}
	},
	// One of them is in no encoding that JSON has.
	"garbled": func(f *fake) { f.names = []string{"web", "\xff\xfe"} },
	"old": func(f *fake) {
		f.before = func(w http.ResponseWriter, path string) bool {
			if path != "/version" {
				return false
			}
			w.Write([]byte(`{"Version":"18.09.1","ApiVersion":"1.39","MinAPIVersion":"1.12"}`))
			return true
		}
	},
	// It is a web server.
	"web": func(f *fake) {
		f.before = func(w http.ResponseWriter, path string) bool {
			io.WriteString(w, "<!doctype html><title>\x1b[31mWelcome</title>")
			return true
		}
	},
	// It ends after it has described one container.
	"dying": func(f *fake) {
		var described sync.Once
		f.before = func(w http.ResponseWriter, path string) bool {
			if !strings.HasPrefix(path, "/containers/") || path == "/containers/json" {
				return false
			}
			first := false
			described.Do(func() { first = true })
			if first {
				return false
			}
			panic(http.ErrAbortHandler) // the connection breaks off
		}
	},
	// The second container is removed after it was listed.
	"busy": func(f *fake) {
		f.before = func(w http.ResponseWriter, path string) bool {
			if path != "/containers/"+idOf(1)+"/json" {
				return false
			}
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, `{"message":"No such container: db"}`)
			return true
		}
	},
	// A plugin lets nobody list containers.
	"guarded": func(f *fake) {
		f.before = func(w http.ResponseWriter, path string) bool {
			if path != "/containers/json" {
				return false
			}
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, `{"message":"authorization denied by plugin watch"}`)
			return true
		}
	},
	// A plugin lets nobody look at a container.
	"denying": func(f *fake) { f.before = denied(0, 1, 2) },
	// It lets nobody look at one of them.
	"denying-one": func(f *fake) { f.before = denied(1) },
	// It says nothing of its containers but that they are there.
	"mute": func(f *fake) { f.inspect = []byte("{}") },
	// It does not say whether they are privileged.
	"discreet": func(f *fake) {
		f.inspect = bytes.Replace(f.inspect, []byte(`"Privileged":false,`), nil, 1)
	},
	// One entry of its list is nobody's.
	"nameless": func(f *fake) {
		f.before = func(w http.ResponseWriter, path string) bool {
			if path != "/containers/json" {
				return false
			}
			io.WriteString(w, `[{"Names":["/web"]}]`)
			return true
		}
	},
	// It does not say which containers there are until it is released.
	"held": func(f *fake) {
		f.held = make(chan struct{})
		f.before = func(w http.ResponseWriter, path string) bool {
			if path == "/containers/json" {
				<-f.held
			}
			return false
		}
	},
}

// denied refuses to tell of the containers with these numbers.
func denied(numbers ...int) func(http.ResponseWriter, string) bool {
	return func(w http.ResponseWriter, path string) bool {
		for _, n := range numbers {
			if path == "/containers/"+idOf(n)+"/json" {
				w.WriteHeader(http.StatusForbidden)
				io.WriteString(w, `{"message":"authorization denied by plugin watch"}`)
				return true
			}
		}
		return false
	}
}

// release lets a held engine answer.
func (f *fake) release() {
	if f.held != nil {
		f.let.Do(func() { close(f.held) })
	}
}

// idOf makes an id of a number.
func idOf(n int) string { return fmt.Sprintf("%064x", n) }

func cmdFake(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1 && fakes[args[0]] != nil, "fake KIND, one of those in fakes")
	f := ts.Value(fakeKey{}).(*fake)
	if f.answers != nil {
		ts.Fatalf("a script has one fake engine")
	}
	f.names, f.asked = []string{"web", "db", "cache"}, make(chan struct{})
	f.answers = map[string][]byte{}
	for _, name := range []string{"version", "info", "networks", "volumes", "image"} {
		f.answers["/"+name] = recorded(ts, name)
	}
	f.inspect = stopped(ts, recorded(ts, "inspect"))
	fakes[args[0]](f)

	// A socket's path is short, and this one is open to all up to the socket.
	dir, err := os.MkdirTemp("", "plimsoll")
	ts.Check(err)
	ts.Check(os.Chmod(dir, 0o755))
	socket := filepath.Join(dir, "engine.sock")
	listener, err := net.Listen("unix", socket)
	ts.Check(err)
	ts.Check(os.Chmod(socket, 0o660))
	server := &http.Server{Handler: f}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		server.Serve(listener)
	}()
	ts.Defer(func() {
		f.release()
		server.Close()
		<-ended
		os.RemoveAll(dir)
	})
	ts.Setenv("DOCKER_HOST", "unix://"+socket)
}

// recorded is an answer of Debian's docker.io.
func recorded(ts *testscript.TestScript, name string) []byte {
	data, err := os.ReadFile(filepath.Join("..", "internal", "collect", "testdata", name+".json"))
	ts.Check(err)
	return data
}

// stopped makes a container of one that ran, so that no process of this machine
// is taken for its own. ID and NAME stand for its own.
func stopped(ts *testscript.TestScript, inspect []byte) []byte {
	var c map[string]any
	ts.Check(json.Unmarshal(inspect, &c))
	c["Id"], c["Name"] = "ID", "NAME"
	state := c["State"].(map[string]any)
	state["Pid"], state["Running"], state["Status"] = 0, false, "exited"
	data, err := json.Marshal(c)
	ts.Check(err)
	return data
}

// ServeHTTP answers as the recorded engine did.
func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if rest, versioned := strings.CutPrefix(path, "/v1."); versioned {
		_, path, _ = strings.Cut(rest, "/")
		path = "/" + path
	}
	if path == "/containers/json" {
		f.ask.Do(func() { close(f.asked) })
	}
	if f.before != nil && f.before(w, path) {
		return
	}
	switch id, inspected := strings.CutPrefix(path, "/containers/"); {
	case path == "/_ping":
		w.Header().Set("Api-Version", "1.41")
		w.Header().Set("Ostype", "linux")
		io.WriteString(w, "OK")
	case path == "/containers/json":
		f.list(w)
	case inspected:
		var n int
		if _, err := fmt.Sscanf(id, "%x/json", &n); err != nil || n >= len(f.names) {
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, `{"message":"No such container"}`)
			return
		}
		body := bytes.Replace(f.inspect, []byte(`"ID"`), []byte(`"`+idOf(n)+`"`), 1)
		w.Write(bytes.Replace(body, []byte(`"NAME"`), quoted("/"+f.names[n]), 1))
	case path == "/images/json":
		fmt.Fprintf(w, `[{"Id":%q,"RepoTags":["bb:1"],"RepoDigests":[]}]`, f.imageID())
	case strings.HasPrefix(path, "/images/") && strings.HasSuffix(path, "/history"):
		io.WriteString(w, `[{"Created":1700000000,"CreatedBy":"","Comment":"Imported from -","Size":1982270}]`)
	case strings.HasPrefix(path, "/images/"):
		w.Write(f.answers["/image"])
	case f.answers[path] != nil:
		w.Write(f.answers[path])
	default:
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"message":"page not found"}`)
	}
}

// list is the summary of all containers.
func (f *fake) list(w io.Writer) {
	id := f.imageID()
	var body bytes.Buffer
	for n, name := range f.names {
		separator := ","
		if n == 0 {
			separator = "["
		}
		fmt.Fprintf(&body, `%s{"Id":%q,"Names":[%s],"ImageID":%q}`, separator, idOf(n), quoted("/"+name), id)
	}
	body.WriteString("]")
	w.Write(body.Bytes())
}

// imageID is that of the recorded image, which all containers run.
func (f *fake) imageID() string {
	var image struct{ Id string }
	if err := json.Unmarshal(f.answers["/image"], &image); err != nil {
		panic(err)
	}
	return image.Id
}

// quoted is a name in JSON; bytes that are not UTF-8 stay as they are.
func quoted(name string) []byte {
	var b bytes.Buffer
	b.WriteByte('"')
	for i := range len(name) {
		switch c := name[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ':
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.Bytes()
}
