package image

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/opencontainers/go-digest"
	oci "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// Registries says how registries are spoken to. The zero value is without credentials,
// mirrors, proxies and certificates of one's own.
type Registries struct {
	// Config is the folder with docker's config.json, whose credentials are used (auths,
	// credsStore, credHelpers); "" for none. A credential helper that it names is run,
	// without a shell, as docker-credential-NAME of the folders in Environ's PATH.
	Config string
	// Environ is what credential helpers are run with, as NAME=value.
	Environ []string
	// Mirrors are asked before a registry, in order, by the registry's host as references
	// have it, docker.io for Docker Hub. Each is https://HOST[:PORT], or http://, which
	// then is as plain as it says. The daemon's registry-mirrors are those of docker.io; a
	// path is refused here as it is there. Credentials are those of the mirror's own host.
	Mirrors map[string][]string
	// Certs is a folder like /etc/docker/certs.d: in its folder HOST[:PORT] every *.crt is
	// of an authority that is trusted beside the system's, and every NAME.cert with
	// NAME.key is shown to that host. "" for none.
	Certs string
	// Insecure are the hosts, HOST or HOST:PORT, that may be spoken to in plain HTTP where
	// they do not take TLS; loopback may always. Certificates are verified all the same.
	Insecure []string
	// Realms are the token servers, HOST or HOST:PORT, that may have the credentials of a
	// registry of another domain.
	Realms []string
	// Proxy picks a proxy for a request, as http.ProxyFromEnvironment does; nil is none.
	Proxy func(*http.Request) (*url.URL, error)
	// Silence is how long a server may send nothing while it is waited for. A document,
	// with the way to it, may take ten times that; a layer may take as long as it sends.
	// Default 30 seconds.
	Silence time.Duration

	// pause is the first wait before trying again; each is twice the one before.
	pause time.Duration
}

func (r Registries) withDefaults() Registries {
	r.Silence = cmp.Or(r.Silence, 30*time.Second)
	r.pause = cmp.Or(r.pause, time.Second)
	return r
}

// whole is how long a document may take.
func (r *Registries) whole() time.Duration { return 10 * r.Silence }

// manifestTypes are the media types of indexes and manifests that are asked for.
var manifestTypes = []string{oci.MediaTypeImageIndex, oci.MediaTypeImageManifest, dockerList, dockerManifest}

// repository is an image's repository at one server: the registry or a mirror. It is the
// store of the image.
type repository struct {
	*session
	path string
	// top is the manifest or index that the reference led to, name what it is called as a
	// part, and data its bytes.
	top  oci.Descriptor
	name string
	data []byte
}

func (r *repository) Close() error {
	r.web.close()
	return nil
}

// session is a server that has been told who asks, for one scope.
type session struct {
	web    *web
	client *http.Client
	base   url.URL
	limits Limits
	// opening has what the server answered to the first question.
	opening *opening
}

// begin pings a server and gets what it wants to see of credentials. Who has none may name the
// path of the manifest that will be asked for first, which is asked for in the ping's place.
func begin(ctx context.Context, o Options, s server, scope, first string) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Registries.whole())
	defer cancel()
	w := newWeb(o, s)
	var kind []name.Option
	if w.plain(s.host) {
		kind = append(kind, name.Insecure)
	}
	registry, err := name.NewRegistry(s.host, kind...)
	if err != nil {
		return nil, err
	}
	auth, err := credentials{o.Registries}.of(ctx, s.host)
	if err != nil {
		return nil, err
	}
	w.secret = auth != authn.Anonymous
	open := &opening{RoundTripper: w, home: registry.RegistryStr()}
	if !w.secret {
		open.path = first
	}
	t, err := transport.NewWithContext(ctx, registry, auth, open, []string{scope})
	if err != nil {
		w.close()
		return nil, told(err)
	}
	return &session{
		web:    w,
		client: &http.Client{Transport: t},
		base:   url.URL{Scheme: registry.Scheme(), Host: registry.RegistryStr()},
		limits: o.Limits, opening: open,
	}, nil
}

// get asks for something of the registry's API, a path with a query. It gives answers of
// the given codes, others are errors.
func (s *session) get(ctx context.Context, path, query string, header http.Header, codes ...int) (*http.Response, error) {
	at := s.base
	at.Path, at.RawQuery = path, query
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header = header
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, told(err)
	}
	if err := transport.CheckError(resp, codes...); err != nil {
		resp.Body.Close()
		return nil, told(err)
	}
	return resp, nil
}

// document reads a whole answer.
func (s *session) document(ctx context.Context, path, query string, header http.Header) ([]byte, http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, s.web.o.whole())
	defer cancel()
	if data, answered := s.opening.take(path, query); answered != nil {
		return data, answered, nil
	}
	resp, err := s.get(ctx, path, query, header, http.StatusOK)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body) // the web bounds it
	if err != nil {
		return nil, nil, told(err)
	}
	return data, resp.Header, nil
}

// accept is the header for manifests.
func accept() http.Header { return http.Header{"Accept": {strings.Join(manifestTypes, ", ")}} }

// server is a host that may have an image.
type server struct {
	host string
	// mirror is true for one that is asked in the registry's place, plain where it is
	// named by http.
	mirror, plain bool
}

// servers are those that may have the images of a registry, in the order of asking.
func servers(o Options, host string) ([]server, error) {
	var list []server
	for _, text := range o.Registries.Mirrors[host] {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			return nil, fmt.Errorf("%q is no mirror: write https://HOST or https://HOST:PORT", shown(text))
		}
		list = append(list, server{host: u.Host, mirror: true, plain: u.Scheme == "http"})
	}
	return append(list, server{host: host}), nil
}

// openRegistry finds the first server that has the image.
func openRegistry(ctx context.Context, r Reference, o Options) (*repository, []string, error) {
	if r.Several() {
		return nil, nil, errors.New("it stands for several images, and one is read at a time")
	}
	named, err := reference.ParseNormalizedNamed(r.At)
	if err != nil {
		return nil, nil, err
	}
	named = reference.TagNameOnly(named)
	list, err := servers(o, reference.Domain(named))
	if err != nil {
		return nil, nil, err
	}
	var wrong []error
	for _, s := range list {
		found, err := openAt(ctx, o, s, named)
		if err == nil {
			return found, []string{named.String()}, nil
		}
		if s.mirror {
			err = fmt.Errorf("the mirror %s: %w", s.host, err)
		}
		wrong = append(wrong, err)
		if ctx.Err() != nil {
			break
		}
	}
	slices.Reverse(wrong) // what the registry itself says comes first
	return nil, nil, errors.Join(wrong...)
}

// openAt reads the manifest or index that a name leads to at a server.
func openAt(ctx context.Context, o Options, s server, named reference.Named) (*repository, error) {
	path := reference.Path(named)
	session, err := begin(ctx, o, s, "repository:"+path+":pull", "")
	if err != nil {
		return nil, err
	}
	r := &repository{session: session, path: path}
	if err := r.find(ctx, named); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func (r *repository) find(ctx context.Context, named reference.Named) error {
	// The digest says what it is, whatever the tag leads to by now.
	algorithm, id := digest.SHA256, ""
	var want digest.Digest
	if d, is := named.(reference.Digested); is {
		want = d.Digest()
		algorithm, id = want.Algorithm(), want.String()
	} else if t, is := named.(reference.Tagged); is {
		id = t.Tag()
	}
	data, header, err := r.session.document(ctx, "/v2/"+r.path+"/manifests/"+id, "", accept())
	if err != nil {
		return err
	}
	got := algorithm.FromBytes(data)
	if want != "" {
		if err := check("the manifest", want, got); err != nil {
			return err
		}
	}
	r.data = data
	if r.name, err = blobPath(got); err != nil {
		return err
	}
	r.top = oci.Descriptor{Digest: got, Size: int64(len(data))}
	r.top.MediaType, err = typeOf(data, header.Get("Content-Type"))
	return err
}

// typeOf is the media type of an index or a manifest, by its own word and that of the
// server. One may be missing; they must not differ, since two readers could then take it for
// different things.
func typeOf(data []byte, header string) (string, error) {
	var own struct {
		MediaType string `json:"mediaType"`
	}
	if _, err := strict.Decode("the manifest", data, &own); err != nil {
		return "", err
	}
	said, _, _ := mime.ParseMediaType(header)
	if !slices.Contains(manifestTypes, said) && own.MediaType != "" {
		said = own.MediaType
	}
	switch {
	case !slices.Contains(manifestTypes, said):
		return "", fmt.Errorf("what has that name is no image: its media type is %.100q", cmp.Or(said, header))
	case own.MediaType != "" && own.MediaType != said:
		return "", fmt.Errorf("the manifest says that it is %.100q, and the registry that it is %.100q", own.MediaType, said)
	}
	return said, nil
}

// open gives a manifest or a blob, which is asked for when it is first read.
func (r *repository) open(ctx context.Context, p part) (*blob, error) {
	if p.name == r.name {
		return &blob{bytes.NewReader(r.data), int64(len(r.data)), func() error { return nil }}, nil
	}
	algorithm, hex, found := strings.Cut(strings.TrimPrefix(p.name, "blobs/"), "/")
	if !found {
		return nil, fmt.Errorf("opening %q: a registry has no such part", shown(p.name))
	}
	if p.size < 0 {
		return nil, fmt.Errorf("opening %q: its size is %d", shown(p.name), p.size)
	}
	d := &download{ctx: ctx, repository: r, path: "/v2/" + r.path + "/blobs/" + algorithm + ":" + hex, size: p.size}
	if p.manifest {
		d.path, d.header = "/v2/"+r.path+"/manifests/"+algorithm+":"+hex, accept()
	}
	return &blob{d, p.size, d.close}, nil
}

// readRegistry reads the manifest that the reference led to, or the one of its index that
// is for the platform.
func (i *Image) readRegistry(ctx context.Context, o Options) error {
	r := i.store.(*repository)
	ctx, cancel := context.WithTimeout(ctx, o.Registries.whole())
	defer cancel()
	f := finder{ctx: ctx, image: i, platform: o.Platform, seen: map[digest.Digest]bool{}}
	if err := f.find([]oci.Descriptor{r.top}, i.Names, 0); err != nil {
		return err
	}
	// Who pulls gets what this machine runs: containers here are of Linux.
	if own := "linux/" + runtime.GOARCH; o.Platform == "" && len(f.found) > 1 {
		f.found = slices.DeleteFunc(f.found, func(c candidate) bool {
			p := c.Platform
			return p == nil || p.OS+"/"+p.Architecture != own
		})
		if len(f.found) == 0 {
			return fmt.Errorf("it has no image for %q, and a platform must be named", own)
		}
	}
	return i.readFound(ctx, &f)
}
