package gate

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/plimsoll/plimsoll/internal/gate/api"
	"github.com/plimsoll/plimsoll/internal/http1"
	"github.com/plimsoll/plimsoll/internal/relay"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/trail"
)

// How an image came to be here, as the event has it that says what came of the request.
var makes = map[api.Judge]string{
	api.ImageBuild:  "build",
	api.ImageLoad:   "load",
	api.CommitImage: "commit",
}

// Which images a request made is told by the engine's answer to that very request alone: a
// name may mean another image by the time that anybody asks.
const (
	// maxTold bounds a message of the engine's that is looked at.
	maxTold = 64 << 10
	// maxMade bounds how many images of one archive are recorded.
	maxMade = 64
)

// made keeps which images the request made, for the event that it is done.
func (x *exchange) made(images []string) {
	if len(images) == 0 {
		return
	}
	how := makes[x.match.Endpoint.Judge]
	detail := map[string]any{"how": how, "images": images, "of_host": !x.who.unknown && x.who.CertSubject == "" && x.who.isOfHost()}
	if how == "build" {
		// Steps out of the engine's cache may be anybody's.
		detail["nocache"] = x.match.Query.Bool("nocache")
	}
	x.making = detail
}

// judgeCommit has the image recorded that the engine says it has made.
func judgeCommit(_ context.Context, x *exchange) error {
	x.subject.Name = trail.Clip(x.match.Query.Get("repo"), maxName)
	x.check = func(_ context.Context, _ *http1.Response, answer []byte) (*decision, error) {
		var committed struct {
			ID string `json:"Id"`
		}
		if _, err := strict.Decode("the engine's answer", answer, &committed); err == nil && isImageID(committed.ID) {
			x.made([]string{committed.ID})
		}
		return nil, nil
	}
	return nil
}

// overheard is the connection of a client: what the engine answers passes by it, and is read
// on the way.
type overheard struct {
	relay.Conn
	to   *io.PipeWriter // nil where nobody reads
	head int            // the bytes of the answer's head that are still to come
}

// NetConn is the connection itself.
func (o *overheard) NetConn() net.Conn {
	if inner, ok := o.Conn.(interface{ NetConn() net.Conn }); ok {
		return inner.NetConn()
	}
	return o.Conn
}

func (o *overheard) Write(b []byte) (int, error) {
	n, err := o.Conn.Write(b)
	if o.to != nil {
		head := min(o.head, n)
		o.head -= head
		_, _ = o.to.Write(b[head:n])
	}
	return n, err
}

// overhear has the answer of a request that makes images pass by an overheard connection, as
// soon as there is one. Nil is a request of which nothing is to be read.
func (x *exchange) overhear() *overheard {
	if x.match.Endpoint == nil || x.match.Endpoint.Judge != api.ImageBuild && x.match.Endpoint.Judge != api.ImageLoad {
		return nil
	}
	o := &overheard{Conn: x.s.Client}
	x.s.Client = o
	return o
}

// pass passes the answer on, and reads on the way which images it tells of. Of an answer that
// did not come whole nothing is believed.
func (o *overheard) pass(x *exchange, answer *http1.Response) error {
	from, to := io.Pipe()
	o.to, o.head = to, len(answer.Head)
	told := make(chan []string)
	go func() {
		images, err := readMade(http1.BodyReader(bufio.NewReader(from), answer.Framing), x.match.Endpoint.Judge == api.ImageLoad, x.match.Query.Bool("q"))
		if err != nil {
			images = nil
		}
		_, _ = io.Copy(io.Discard, from)
		told <- images
	}()
	err := x.s.Pass(answer)
	o.to = nil
	_ = to.CloseWithError(err) // of nil it is the end
	if images := <-told; err == nil {
		x.made(images)
	}
	return err
}

// readMade reads an answer in which each line is a message in JSON, as an engine answers to
// builds and loads, and gives the ids of the images that were made. What steps of a build
// print is in texts, and cannot say any. Quiet builds tell one id alone. The error is that of
// reading.
func readMade(answer io.Reader, load, quiet bool) ([]string, error) {
	var images []string
	r := bufio.NewReaderSize(answer, maxTold)
	for messages := 0; ; {
		line, err := r.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.ReadSlice('\n')
		}
		if err != nil && err != io.EOF {
			return nil, err
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			messages++
			switch {
			case long && !load:
				images = nil // it may be that the build came to nothing
			case long:
			case load:
				if id := loadedID(line); id != "" && len(images) < maxMade {
					images = append(images, id)
				}
			case quiet:
				images = nil
				if id := quietID(line); id != "" && messages == 1 {
					images = []string{id}
				}
			default:
				images = builtID(line, images)
			}
		}
		if err == io.EOF {
			return images, nil
		}
	}
}

// builtID gives the image that a message tells of: each stage of a build has one, and the last
// is that of all. An error after it says that it came to nothing.
func builtID(line []byte, before []string) []string {
	if !bytes.Contains(line, []byte(`"aux"`)) && !bytes.Contains(line, []byte(`"error`)) {
		return before
	}
	var trace struct { // of BuildKit, which has a text there
		Aux string `json:"aux"`
	}
	if _, err := strict.Decode("a message", line, &trace); err == nil && trace.Aux != "" {
		return before
	}
	var message struct {
		Aux struct {
			ID string `json:"ID"`
		} `json:"aux"`
		Error string `json:"error"`
	}
	if _, err := strict.Decode("a message", line, &message); err != nil || message.Error != "" {
		return nil
	}
	if isImageID(message.Aux.ID) {
		return []string{message.Aux.ID}
	}
	return before
}

// streamed is the text of a message that has one.
func streamed(line []byte) string {
	var message struct {
		Stream string `json:"stream"`
	}
	if _, err := strict.Decode("a message", line, &message); err != nil {
		return ""
	}
	return message.Stream
}

// loadedID is the id of an image that was loaded, where the archive has no name for it: else
// the message has the name, which is no proof.
func loadedID(line []byte) string {
	id, ok := strings.CutPrefix(streamed(line), "Loaded image ID: ")
	if id = strings.TrimSuffix(id, "\n"); !ok || !isImageID(id) {
		return ""
	}
	return id
}

// quietID is all that a quiet build tells.
func quietID(line []byte) string {
	id, ok := strings.CutSuffix(streamed(line), "\n")
	if !ok || !isImageID(id) {
		return ""
	}
	return id
}

// isImageID says whether a text is the id of an image.
func isImageID(text string) bool {
	hex, ok := strings.CutPrefix(text, "sha256:")
	return ok && len(hex) == 64 && strings.Trim(hex, "0123456789abcdef") == ""
}
