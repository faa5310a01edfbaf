package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	// maxObjectBytes bounds one inspect, info or exec; they are 2 to 60 KiB. A
	// container's own labels and environment are the largest part.
	maxObjectBytes = 16 << 20
	// maxListBytes bounds a list: 10,000 containers take 15 to 50 MiB.
	maxListBytes = 128 << 20
	// maxElements bounds a list's elements, since an empty one costs us more
	// memory than the two bytes that it takes in an answer.
	maxElements = 100_000
	// maxErrorBytes bounds the body of a refusal.
	maxErrorBytes = 64 << 10
)

// errSlow is the cause of a context that our own timeout has ended.
var errSlow = errors.New("timeout")

// header is that of every request. Nobody writes to it.
var header = http.Header{"User-Agent": {userAgent}}

const userAgent = "plimsoll"

// request is one GET.
type request struct {
	path  string
	query url.Values
	limit int64 // bytes of the answer
	// named says that the path names one subject, so that 404 means that this
	// subject is not there.
	named bool
	// slow says that the engine works for as long as it takes before it answers: nothing
	// but the caller's context ends it.
	slow bool
}

// String is the request as errors name it. A name in it may be the engine's.
func (r request) String() string { return "GET " + printable(r.path, 200) }

// versioned is r with the agreed API version in its path.
func (c *Client) versioned(ctx context.Context, r request) (request, error) {
	a, err := c.agree(ctx)
	if err != nil {
		return request{}, err
	}
	r.path = "/v" + a.api.String() + r.path
	return r, nil
}

// answer is one whose head is here and whose status is 200. The timeout runs on
// while its body is read, until timer is stopped.
type answer struct {
	*http.Response
	ctx    context.Context // ended by the caller's, by the timeout or by close
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

func (a *answer) close() {
	a.Body.Close()
	a.timer.Stop()
	a.cancel(nil)
}

// open sends r.
func (c *Client) open(parent context.Context, r request) (*answer, error) {
	u := c.base
	// The path is set as it is, not parsed from text, so that a name with ? or
	// % in it stays one.
	u.Path += r.path
	u.RawQuery = r.query.Encode()
	ctx, cancel := context.WithCancelCause(parent)
	timer := time.AfterFunc(c.timeout, func() { cancel(errSlow) })
	if r.slow {
		timer.Stop()
	}
	req := (&http.Request{Method: http.MethodGet, URL: &u, Header: header}).WithContext(ctx)
	// Not through an http.Client: an engine never redirects, and following one
	// would let whatever listens there choose the next address.
	resp, err := c.transport.RoundTrip(req)
	if err == nil && resp.StatusCode == http.StatusOK {
		return &answer{resp, ctx, cancel, timer}, nil
	}
	if err != nil {
		err = c.explain(parent, ctx, r, err)
	} else {
		err = c.refusal(parent, ctx, r, resp)
		resp.Body.Close()
	}
	timer.Stop()
	cancel(nil)
	return nil, err
}

// fetch reads a whole answer.
func (c *Client) fetch(parent context.Context, r request) (http.Header, []byte, error) {
	a, err := c.open(parent, r)
	if err != nil {
		return nil, nil, err
	}
	defer a.close()
	if a.ContentLength > r.limit {
		return nil, nil, c.tooBig(r)
	}
	body, err := readAll(&capped{r: a.Body, left: r.limit})
	if err != nil {
		return nil, nil, c.explain(parent, a.ctx, r, err)
	}
	return a.Header, body, nil
}

// buffers are what answers are read into, for an engine does not say how long
// the longer ones are.
var buffers = sync.Pool{New: func() any { return &bytes.Buffer{} }}

// maxBufferBytes bounds what is kept of a buffer for the next answer.
const maxBufferBytes = 256 << 10

// readAll is io.ReadAll without the growing: all but large answers come out of a
// buffer that was there, at their exact length.
func readAll(r io.Reader) ([]byte, error) {
	buf := buffers.Get().(*bytes.Buffer)
	if _, err := buf.ReadFrom(r); err != nil || buf.Cap() > maxBufferBytes {
		return buf.Bytes(), err // the buffer goes with what is in it
	}
	body := bytes.Clone(buf.Bytes())
	buf.Reset()
	buffers.Put(buf)
	return body, nil
}

// errUnlikeJSON is an answer that is whole but not the JSON asked for.
var errUnlikeJSON = errors.New("the answer is not JSON of the right kind")

// isObject reports whether a text begins and ends as a JSON object (RFC 8259)
// does, so that a page of a proxy or half an answer is none. Whether it is one
// inside as well, whoever decodes it finds out: answers are many, and are read
// once.
func isObject(text []byte) bool {
	text = bytes.TrimSpace(text)
	return len(text) > 1 && text[0] == '{' && text[len(text)-1] == '}'
}

// object reads an answer that is one JSON object.
func (c *Client) object(ctx context.Context, r request) (json.RawMessage, error) {
	_, body, err := c.fetch(ctx, r)
	if err != nil {
		return nil, err
	}
	if !isObject(body) {
		return nil, c.unlike(r, body, errUnlikeJSON)
	}
	return body, nil
}

// list reads an answer that is one JSON array of objects, element by element.
func (c *Client) list(parent context.Context, r request) ([]json.RawMessage, error) {
	a, err := c.open(parent, r)
	if err != nil {
		return nil, err
	}
	defer a.close()
	if a.ContentLength > r.limit {
		return nil, c.tooBig(r)
	}
	// What an answer that is not a list begins with goes into the error.
	var head prefix
	items, err := decodeList(io.TeeReader(&capped{r: a.Body, left: r.limit}, &head))
	if err == nil {
		return items, nil
	}
	var syntax *listError
	if errors.As(err, &syntax) {
		return nil, c.unlike(r, head.b, syntax)
	}
	return nil, c.explain(parent, a.ctx, r, err)
}

// unlike is the error for an answer that came whole and is not what r asks
// for: too deep or too long, or not JSON.
func (c *Client) unlike(r request, body []byte, err error) error {
	if errors.Is(err, ErrTooBig) {
		return c.tooBig(r)
	}
	return c.notAnEngine(r, fmt.Errorf("%w: %s", err, excerpt(body)))
}

func (c *Client) tooBig(r request) error {
	return &Error{
		Message: fmt.Sprintf("the engine's answer to %s is too big", r),
		Err:     fmt.Errorf("%w: plimsoll reads %d MiB, %d elements and %d levels at most", ErrTooBig, r.limit>>20, maxElements, maxDepth),
		hint:    "No engine gives such an answer by itself: look at what is there with docker inspect, and at what listens at " + c.endpoint.Address + ".",
	}
}

// refusal turns an answer with another status than 200 into an error.
func (c *Client) refusal(parent, ctx context.Context, r request, resp *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBytes))
	if err != nil {
		return c.explain(parent, ctx, r, err)
	}
	// Go's TLS server, and so the engine, says this to plain HTTP.
	if resp.StatusCode == http.StatusBadRequest && bytes.Contains(body, []byte("HTTP request to an HTTPS server")) {
		return c.wantsTLS()
	}
	var said struct {
		Message *string `json:"message"`
	}
	own := json.Unmarshal(body, &said) == nil && said.Message != nil
	first := c.agreed.Load() == nil
	refused := resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusUnauthorized
	if !own && (resp.StatusCode < 400 || first && !refused) {
		return c.notAnEngine(r, fmt.Errorf("%s, %s", printable(resp.Status, 60), excerpt(body)))
	}
	e := &Error{Message: "the engine refused " + r.String(), Status: resp.StatusCode}
	if !own {
		e.Message = r.String() + " is refused, not in the engine's own words"
		e.Err = fmt.Errorf("%s, %s", printable(resp.Status, 60), excerpt(body))
		e.hint = "A proxy stands before the engine. Let it pass this request, or name the engine itself:\n" +
			"  plimsoll audit --host unix://" + defaultSocket
		return e
	}
	e.Err = fmt.Errorf("%s (%d)", printable(*said.Message, 400), resp.StatusCode)
	// An engine that does not know a path says "page not found" with the same
	// status as for a container that is gone.
	if resp.StatusCode == http.StatusNotFound && r.named && *said.Message != "page not found" {
		e.Message = "the engine has nothing for " + r.String()
		e.Err = fmt.Errorf("%w: %s", ErrNotFound, printable(*said.Message, 400))
		return e
	}
	switch {
	case refused:
		e.hint = "An authorization plugin or a proxy forbids it. Allow this request, or run plimsoll where it is allowed."
	case resp.StatusCode >= 500:
		e.hint = "The engine's log says more:\n  journalctl -u docker"
	}
	return e
}

// capped reads at most left bytes and then fails with ErrTooBig, where
// io.LimitReader would seem to be at the end.
type capped struct {
	r    io.Reader
	left int64
}

func (c *capped) Read(p []byte) (int, error) {
	if c.left < 0 {
		return 0, ErrTooBig
	}
	// One byte more than allowed tells an end from an excess.
	if int64(len(p)) > c.left+1 {
		p = p[:c.left+1]
	}
	n, err := c.r.Read(p)
	if c.left -= int64(n); c.left < 0 {
		return n - 1, ErrTooBig
	}
	return n, err
}

// prefix keeps the first bytes written to it.
type prefix struct{ b []byte }

const excerptBytes = 200

func (p *prefix) Write(b []byte) (int, error) {
	p.b = append(p.b, b[:min(len(b), excerptBytes-len(p.b))]...)
	return len(b), nil
}

// excerpt is the start of an answer, for an error.
func excerpt(body []byte) string {
	if len(bytes.TrimSpace(body)) == 0 {
		return "an empty answer"
	}
	body = body[:min(len(body), excerptBytes)]
	return "an answer that starts with " + strings.TrimSpace(printable(string(body), 60))
}
