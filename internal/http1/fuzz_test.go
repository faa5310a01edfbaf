package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var requestSeeds = []string{
	"GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n",
	"POST /v1.41/containers/create?name=x HTTP/1.1\r\nHost: docker\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}GET / HTTP/1.1\r\n",
	"POST /build?x=%zz&y=a;b HTTP/1.1\r\nHost: \r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n00A\r\n0123456789\r\n0\r\n\r\nnext",
	"PUT /a%2Fb?? HTTP/1.1\r\nHost: %2Fvar%2Frun\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
	"POST //x/../y HTTP/1.1\r\nHost: [::1]:1\r\nConnection: Upgrade, close\r\nUpgrade: tcp, TLS/1.2\r\n\r\nraw",
	"HEAD / HTTP/1.0\r\nConnection: keep-alive\r\nPragma: no-cache\r\nX:\t\xff \r\n\r\n",
	"\r\nG!T /\"<>\\^`{|} HTTP/1.1\r\nhOST: docker\r\ncontent-length: 0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"GET / HTTP/1.1\nHost: d\n\n",
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}

// FuzzRequest: what is read of a request is what net/http reads, to the bytes of
// the body and where it ends, and so is what is written of it.
func FuzzRequest(f *testing.F) {
	for _, seed := range requestSeeds {
		f.Add(seed, 16)
		f.Add(seed, 4096)
	}
	f.Fuzz(func(t *testing.T, in string, size int) {
		r := bufio.NewReaderSize(strings.NewReader(in), size%(1<<16))
		got, err := ReadRequest(r)
		if err != nil {
			return
		}
		body, bodyErr := io.ReadAll(BodyReader(r, got.Framing))
		left := rest(t, r)
		alike(t, got, body, bodyErr, left, strings.TrimPrefix(in, "\r\n"))

		// What is sent on, with the body as it was.
		r = bufio.NewReader(strings.NewReader(in))
		if _, err := ReadRequest(r); err != nil {
			t.Fatalf("refused the second time: %v", err)
		}
		sent := bytes.NewBuffer(got.AppendHead(nil))
		if _, err := CopyBody(sent, r, got.Framing, nil); (err == nil) != (bodyErr == nil) {
			t.Fatalf("copying: %v, decoding: %v", err, bodyErr)
		}
		if bodyErr != nil {
			return
		}
		alike(t, got, body, nil, "", sent.String())
		again, err := ReadRequest(bufio.NewReader(sent))
		if err != nil {
			t.Fatalf("what was written is refused: %v", err)
		}
		for _, q := range []*Request{got, again} {
			q.Fields = slices.DeleteFunc(slices.Clone(q.Fields), func(f Field) bool {
				return slices.ContainsFunc([]string{connection, contentLength, expect, transferEncoding, upgrade}, func(name string) bool { return strings.EqualFold(f.Name, name) })
			})
		}
		if diff := cmp.Diff(got, again, cmpopts.IgnoreUnexported(Framing{}), cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	})
}

// alike checks that net/http finds in a request what we did.
func alike(t *testing.T, got *Request, body []byte, bodyErr error, left, in string) {
	t.Helper()
	r := bufio.NewReader(strings.NewReader(in))
	want, err := http.ReadRequest(r)
	if err != nil {
		t.Fatalf("net/http refuses %q: %v", in, err)
	}
	path, err := url.PathUnescape(got.Path)
	if err != nil {
		t.Fatal(err)
	}
	length := map[Kind]int64{None: 0, Length: got.Framing.Length, Chunked: -1}[got.Framing.Kind]
	switch {
	case want.Method != got.Method, want.RequestURI != got.Target, want.URL.Path != path,
		want.URL.RawQuery != got.RawQuery, want.ProtoMinor != got.Minor, want.Host != got.Fields.Get("Host"), want.ContentLength != length,
		(len(want.TransferEncoding) > 0) != (got.Framing.Kind == Chunked), want.Close == got.KeepAlive:
		t.Errorf("net/http reads %+v\nand we   %+v", want, got)
	}
	if continues := strings.EqualFold(want.Header.Get("Expect"), "100-continue") && want.ProtoMinor == 1 && want.ContentLength != 0; continues != got.ExpectContinue {
		t.Errorf("of %q net/http expects %v", in, continues)
	}
	for name, values := range want.Header {
		// net/http adds one field to a Pragma.
		if ours := got.Fields.Values(name); !slices.Equal(ours, values) && name != "Cache-Control" && !slices.Contains([]string{connection, contentLength, expect, upgrade}, name) {
			t.Errorf("%s is %q, in net/http %q", name, ours, values)
		}
	}
	wantBody, wantErr := io.ReadAll(want.Body)
	if bodyErr == nil && (wantErr != nil || !bytes.Equal(wantBody, body)) {
		t.Errorf("the body is %q; in net/http %q, %v", body, wantBody, wantErr)
	}
	if bodyErr == nil && rest(t, r) != left {
		t.Errorf("of %q we leave %q", in, left)
	}
}

// FuzzResponse: what is read of a response is what net/http reads, and so is what
// is written of it.
func FuzzResponse(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 2\r\n\r\nOKnext",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\nnext",
		"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nraw",
		"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
		"HTTP/1.0 404\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
		"HTTP/1.1 200 OK\r\n\r\nto the end",
		"HTTP/1.1 100 Continue\r\n\r\n",
	} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, in string, head bool) {
		method := map[bool]string{true: "HEAD", false: "GET"}[head]
		r := bufio.NewReader(strings.NewReader(in))
		got, err := ReadResponse(r, method)
		if err != nil {
			return
		}
		if !strings.HasPrefix(in, string(got.Head)) {
			t.Fatalf("%q is not of %q", got.Head, in)
		}
		body, bodyErr := io.ReadAll(BodyReader(r, got.Framing))
		left := rest(t, r)
		alikeResponse(t, got, method, body, bodyErr, left, in)

		r = bufio.NewReader(strings.NewReader(in[len(got.Head):]))
		var copied bytes.Buffer
		n, err := CopyBody(&copied, r, got.Framing, nil)
		if (err == nil) != (bodyErr == nil) || int(n) != copied.Len() {
			t.Fatalf("copying %d bytes: %v, decoding: %v", n, err, bodyErr)
		}
		if bodyErr != nil {
			return
		}
		if whole := string(got.Head) + copied.String(); whole+left != in {
			t.Errorf("%q is passed on as %q", in, whole)
		}
		// Changed in nothing but what is written anew.
		written := string(got.AppendHead(nil))
		again, err := ReadResponse(bufio.NewReader(strings.NewReader(written)), method)
		if err != nil {
			t.Fatalf("what was written is refused: %v", err)
		}
		alikeResponse(t, again, method, body, nil, "", written+copied.String())
		for _, a := range []*Response{got, again} {
			a.Head = nil
			a.Fields = slices.DeleteFunc(slices.Clone(a.Fields), func(f Field) bool {
				return slices.ContainsFunc([]string{connection, contentLength, expect, trailer, transferEncoding, upgrade}, func(name string) bool { return strings.EqualFold(f.Name, name) })
			})
		}
		if diff := cmp.Diff(got, again, cmpopts.IgnoreUnexported(Framing{}), cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	})
}

// alikeResponse checks that net/http finds in a response what we did.
func alikeResponse(t *testing.T, got *Response, method string, body []byte, bodyErr error, left, in string) {
	t.Helper()
	r := bufio.NewReader(strings.NewReader(in))
	want, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("net/http refuses %q: %v", in, err)
	}
	if want.StatusCode != got.Status || want.ProtoMinor != got.Minor || (len(want.TransferEncoding) > 0) != (got.Framing.Kind == Chunked) && method != "HEAD" ||
		got.Framing.Kind == Length && want.ContentLength != got.Framing.Length || want.Close == got.KeepAlive {
		t.Errorf("net/http reads %+v\nand we   %+v", want, got)
	}
	for name, values := range want.Header {
		if ours := got.Fields.Values(name); !slices.Equal(ours, values) && name != "Cache-Control" {
			t.Errorf("%s is %q, in net/http %q", name, ours, values)
		}
	}
	wantBody, wantErr := io.ReadAll(want.Body)
	if bodyErr == nil && (wantErr != nil || !bytes.Equal(wantBody, body)) {
		t.Errorf("the body is %q; in net/http %q, %v", body, wantBody, wantErr)
	}
	if bodyErr == nil && rest(t, r) != left {
		t.Errorf("of %q we leave %q", in, left)
	}
}

// FuzzBody: a chunked body decodes to what net/http makes of it, however it is
// cut, and is passed on byte for byte, nothing behind it with it.
func FuzzBody(f *testing.F) {
	for _, seed := range chunkedSeeds {
		f.Add(seed, 16, false)
		f.Add(seed, 1000, true)
	}
	f.Fuzz(func(t *testing.T, in string, size int, engine bool) {
		framing := Framing{Kind: Chunked, engine: engine}
		size %= 1 << 16
		r := bufio.NewReaderSize(strings.NewReader(in), size)
		got, err := io.ReadAll(BodyReader(r, framing))
		left := rest(t, r)

		var copied bytes.Buffer
		r = bufio.NewReaderSize(strings.NewReader(in), size)
		n, copyErr := CopyBody(&copied, r, framing, nil)
		if (err == nil) != (copyErr == nil) || int(n) != copied.Len() || !strings.HasPrefix(in, copied.String()) {
			t.Fatalf("copying %q: %v, decoding: %v", copied.String(), copyErr, err)
		}
		taken, readErr := ReadBody(bufio.NewReaderSize(strings.NewReader(in), size), framing, int64(len(got)))
		if (err == nil) != (readErr == nil) || err == nil && !bytes.Equal(got, taken) {
			t.Fatalf("taking: %v, decoding: %v", readErr, err)
		}
		var malformed *Error
		if err != nil {
			if a, b := errors.As(err, &malformed), errors.As(copyErr, &malformed); a != b {
				t.Fatalf("copying: %v, decoding: %v", copyErr, err)
			}
			return
		}
		if copiedLeft := rest(t, r); copied.String()+left != in || copiedLeft != left {
			t.Errorf("%q is passed on, %q left, and %q", copied.String(), copiedLeft, left)
		}
		if len(got) > 0 {
			if _, err := ReadBody(bufio.NewReader(strings.NewReader(in)), framing, int64(len(got))-1); !errors.Is(err, ErrTooLarge) {
				t.Errorf("a byte more than allowed: %v", err)
			}
		}
		theirs := bufio.NewReader(strings.NewReader(in))
		want, err := io.ReadAll(httputil.NewChunkedReader(theirs))
		if err != nil && strings.Contains(err.Error(), "too much non-data") {
			return
		}
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("net/http decodes %q, %v; we %q", want, err, got)
		}
		// It leaves the trailers and the last line.
		if end := rest(t, theirs); !strings.HasSuffix(end, "\r\n"+left) || !engine && end != "\r\n"+left {
			t.Errorf("net/http leaves %q, we %q", end, left)
		}
	})
}

var chunkedSeeds = []string{
	"0\r\n\r\n",
	"5\r\nhello\r\n0\r\n\r\nnext",
	"1\r\na\r\n2\r\nbc\r\n000\r\n\r\n",
	"0000000000000aA\r\n" + strings.Repeat("x", 0xaa) + "\r\n0\r\n\r\n0\r\n\r\n",
	"3;a=\"b\"\r\nabc\r\n0\r\nX: y\r\nZ: \r\n\r\nnext",
	"3\r\nabc\r\n0;x\r\n\r\n",
	"3\r\nabcd\r\n0\r\n\r\n",
	"FFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n",
	"5\nhello\n0\n\n",
}
