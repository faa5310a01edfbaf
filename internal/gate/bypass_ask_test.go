package gate

import (
	"archive/tar"
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// answer is what came of a request.
type answer struct {
	status int // 0 where the connection ended without one
	header http.Header
	body   []byte
	// raw is what came behind a head that made the connection another protocol's.
	raw []byte
	// next is the answer to a request that was sent behind this one.
	next *answer
	// say is what the client says once the connection is another protocol's: an engine
	// may lose what comes with the head.
	say []byte
}

func (a *answer) String() string {
	if a.next != nil {
		return fmt.Sprintf("%d %.700s, then %s", a.status, a.text(), a.next)
	}
	return fmt.Sprintf("%d %.700s", a.status, a.text())
}

// text is all that was answered.
func (a *answer) text() string { return string(a.body) + string(a.raw) }

// id is the one in the answer to a create request, "" for none.
func (a *answer) id() string {
	var said struct {
		ID string `json:"Id"`
	}
	if a.status >= 300 || json.Unmarshal(a.body, &said) != nil {
		return ""
	}
	return said.ID
}

const (
	// patient is how long an answer may take, and first how long a tunnel may say nothing
	// at first, and quiet later, before it has said all.
	patient, first, quiet = 30 * time.Second, 2 * time.Second, 200 * time.Millisecond
)

// fill puts into a text what only the ground knows: $DIR is the folder, $SOCK the engine's
// socket, $ID(name) the id of a container, and other words are in vars.
func (g *ground) fill(text string) string {
	pairs := []string{"$DIR", g.dir, "$FOLDER", filepath.Base(g.dir), "$ENGINE", strconv.Itoa(g.engine.Pid), "$WEB", g.outside.web, "$PORT", g.outside.port, "$TCP", g.outside.tcp, "$SOCKDIR", filepath.Dir(g.engine.Socket()), "$SOCK", g.engine.Socket()}
	for name, value := range g.vars {
		pairs = append(pairs, "$"+name, value)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// raw sends bytes as they are, and reads an answer for each of methods.
func raw(text string, methods ...string) asking {
	return func(g *ground, at string) *answer {
		g.Helper()
		return g.send(at, []byte(g.fill(text)), methods...)
	}
}

// send sends bytes and reads the answers. The connection stays open for writing until then.
func (g *ground) send(at string, data []byte, methods ...string) *answer {
	g.Helper()
	return g.sendAll(at, data, nil, methods...)
}

// sendAll sends more once the connection is another protocol's.
func (g *ground) sendAll(at string, data, more []byte, methods ...string) *answer {
	g.Helper()
	c, err := net.Dial("unix", at)
	if err != nil {
		g.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patient)); err != nil {
		g.Fatal(err)
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		// Who refuses a body need not read it.
		_, _ = c.Write(data)
	}()
	defer func() {
		c.Close()
		<-sent
	}()
	if len(methods) == 0 {
		method, _, _ := strings.Cut(string(data[:min(len(data), 16)]), " ")
		methods = []string{method}
	}
	all := &answer{say: more}
	r, a := bufio.NewReader(c), all
	for i, method := range methods {
		if i > 0 {
			a.next = &answer{}
			a = a.next
		}
		if !a.read(c, r, method) {
			break
		}
	}
	return all
}

// read reads one answer, and says whether another may follow.
func (a *answer) read(c net.Conn, r *bufio.Reader, method string) bool {
	var resp *http.Response
	for {
		var err error
		if resp, err = http.ReadResponse(r, &http.Request{Method: method}); err != nil {
			return false
		}
		if resp.StatusCode != http.StatusContinue {
			break
		}
	}
	a.status, a.header = resp.StatusCode, resp.Header
	if resp.StatusCode == http.StatusSwitchingProtocols || strings.HasPrefix(resp.Header.Get("Content-Type"), "application/vnd.docker.raw-stream") && resp.TransferEncoding == nil { // newer engines call a log so, too
		if _, err := c.Write(a.say); err != nil {
			return false
		}
		// It says nothing more when it has said nothing for a while.
		_ = c.SetReadDeadline(time.Now().Add(first))
		for buf := make([]byte, 4096); ; {
			n, err := r.Read(buf)
			if a.raw = append(a.raw, buf[:n]...); err != nil {
				return false
			}
			_ = c.SetReadDeadline(time.Now().Add(quiet))
		}
	}
	a.body, _ = io.ReadAll(resp.Body)
	resp.Body.Close()
	return true
}

// call is an ordinary request; body is JSON, "" for none.
func call(method, path, body string) asking {
	return func(g *ground, at string) *answer {
		g.Helper()
		return g.send(at, []byte(request(method, g.fill(path), g.fill(body))))
	}
}

// request is the text of an ordinary request.
func request(method, path, body string, fields ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: docker\r\n", method, path)
	for _, f := range fields {
		b.WriteString(f + "\r\n")
	}
	if body != "" {
		if !strings.Contains(b.String(), "Content-Type") {
			b.WriteString("Content-Type: application/json\r\n")
		}
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	return b.String() + "\r\n" + body
}

// create asks for a container by the body of the request.
func create(body string) asking { return call(http.MethodPost, "/v1.41/containers/create", body) }

// named asks for a container by a name.
func named(name, body string) asking {
	return call(http.MethodPost, "/v1.41/containers/create?name="+name, body)
}

func post(path, body string) asking { return call(http.MethodPost, "/v1.41"+path, body) }
func get(path string) asking        { return call(http.MethodGet, "/v1.41"+path, "") }

// withTar asks with a body that is an archive.
func withTar(method, path string, archive func(*ground) []byte) asking {
	return func(g *ground, at string) *answer {
		g.Helper()
		body := archive(g)
		head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: docker\r\nContent-Type: application/x-tar\r\nContent-Length: %d\r\n\r\n", method, g.fill(path), len(body))
		return g.send(at, append([]byte(head), body...))
	}
}

// then makes one request after the other, as long as they work. The last answer counts.
func then(asks ...asking) asking {
	return func(g *ground, at string) *answer {
		g.Helper()
		var a *answer
		for i, ask := range asks {
			if a = ask(g, at); a.status >= 400 || a.status == 0 {
				return a
			}
			if id := a.id(); id != "" {
				g.vars[fmt.Sprintf("ID%d", i+1)], g.vars["ID"] = id, id
			}
		}
		return a
	}
}

// onHost does something on the host between requests.
func onHost(do func(*ground) error) asking {
	return func(g *ground, _ string) *answer {
		g.Helper()
		if err := do(g); err != nil {
			g.Fatal(err)
		}
		return &answer{status: http.StatusOK}
	}
}

// beside makes something on the bare engine, past the gate, which must work.
func beside(asks ...asking) func(*ground) {
	return func(g *ground) {
		g.Helper()
		for _, ask := range asks {
			if a := ask(g, g.engine.Socket()); a.status >= 400 || a.status == 0 {
				g.Fatalf("beside the gate: %s", a)
			}
		}
	}
}

// container makes a container beside the gate; start starts it too. $NAME is its id.
func container(name, body string) asking {
	return func(g *ground, at string) *answer {
		g.Helper()
		a := named(name, body)(g, at)
		g.vars[strings.ToUpper(name)] = a.id()
		return a
	}
}

func start(name string) asking { return post("/containers/"+name+"/start", "") }

// said looks for a text in the answer.
func said(text string) func(*ground, *answer) bool {
	return func(g *ground, a *answer) bool {
		return a.status != 0 && a.status < 400 && strings.Contains(a.text(), g.fill(text))
	}
}

// answered is that the engine did it.
func answered(status int) func(*ground, *answer) bool {
	return func(_ *ground, a *answer) bool { return a.status == status }
}

// has looks for a value in the engine's description of the container that was made: what
// is at a path of keys, as JSON.
func has(path, value string) func(*ground, *answer) bool {
	return func(g *ground, a *answer) bool {
		g.Helper()
		id := a.id()
		if id == "" {
			id = g.vars["ID"]
		}
		return id != "" && strings.Contains(g.described(id, path), g.fill(value))
	}
}

// described is what the engine says of a container at a path of keys, "" where there is
// no such container.
func (g *ground) described(id, path string) string {
	a := get("/containers/"+id+"/json")(g, g.engine.Socket())
	if a.status != http.StatusOK {
		return ""
	}
	at := json.RawMessage(a.body)
	for key := range strings.SplitSeq(path, ".") {
		var object map[string]json.RawMessage
		if json.Unmarshal(at, &object) != nil {
			return ""
		}
		at = object[key]
	}
	return string(at)
}

// prints runs the container that was made, and looks for a text in what it prints.
func prints(text string) func(*ground, *answer) bool {
	return func(g *ground, a *answer) bool {
		g.Helper()
		id := a.id()
		return id != "" && strings.Contains(g.output(id), g.fill(strings.ReplaceAll(text, "$SECRET", g.secret)))
	}
}

// output runs a container to its end and gives what it prints.
func (g *ground) output(id string) string {
	g.Helper()
	engine := g.engine.Socket()
	if a := post("/containers/"+id+"/start", "")(g, engine); a.status >= 400 {
		g.Logf("starting it: %s", a)
		return ""
	}
	post("/containers/"+id+"/wait", "")(g, engine)
	return string(get("/containers/"+id+"/logs?stdout=1&stderr=1")(g, engine).body)
}

// wrote says whether a file is in the folder of the host.
func wrote(name string) func(*ground, *answer) bool {
	return func(g *ground, _ *answer) bool {
		_, err := os.Lstat(filepath.Join(g.dir, name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			g.Fatal(err)
		}
		return err == nil
	}
}

// padded is a JSON object with a label so long that the body has size bytes and more.
func padded(body string, size int) string {
	return strings.Replace(body, "{", `{"Labels":{"x":"`+strings.Repeat("a", size)+`"},`, 1)
}

// pause is long enough for a request to be under way.
func pause() { time.Sleep(100 * time.Millisecond) }

// archive is a tar archive of one file.
func archive(name, content string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))})
	if err == nil {
		_, err = io.WriteString(w, content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // of memory
	}
	return b.Bytes()
}
