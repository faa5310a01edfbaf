package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/opencontainers/go-digest"
	oci "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// ErrNotFound is a manifest or a blob that the registry has not got.
var ErrNotFound = errors.New("the registry has no such thing")

// ErrOther is something that is not what its digest, its size or its type says of it. Who
// looks for signatures passes over it: whoever may write to a repository can put it there.
var ErrOther = errors.New("it is not what is said of it")

// Repository is where an image is, with what lies beside it, such as signatures: in a registry
// ([Remote]), or wherever that was packed. Every document has the digest that it was asked for
// by, and is bounded; what is not there is [ErrNotFound], and what can't be read because of who
// put it there is [ErrOther].
type Repository interface {
	// Repository is docker's name of it, with its host, and Tag the tag that was asked for,
	// "" where that was a digest alone.
	Repository() string
	Tag() string
	// Named gives what was asked for, Manifest what has a digest, and Tagged what a tag leads
	// to.
	Named(context.Context) (*Document, error)
	Manifest(context.Context, digest.Digest) (*Document, error)
	Tagged(context.Context, string) (*Document, error)
	// Blob gives a small blob whole, of no more than so many bytes.
	Blob(context.Context, oci.Descriptor, int64) ([]byte, error)
	// Referrers are the manifests that say that they are about another, no more than so many.
	Referrers(context.Context, digest.Digest, int) ([]oci.Descriptor, error)
}

// Remote is a repository of a registry, for what lies beside an image in it, such as
// signatures. Every document has the digest that it was asked for by, and is bounded.
// Mirrors are not asked: what they have of a signature may be old.
type Remote struct {
	*session
	path  string
	named reference.Named
	// unasked is true where the registry is known not to answer what refers to a manifest.
	unasked bool
}

// Document is a manifest or an index, as it is written.
type Document struct {
	oci.Descriptor
	Data []byte
}

// OpenRemote opens the repository that a reference of a registry is in, to read from, or to
// write to as well.
func OpenRemote(ctx context.Context, r Reference, write bool, o Options) (*Remote, error) {
	if r.Source != Registry || r.Several() {
		return nil, fmt.Errorf("opening %s: it names no image of a registry", r)
	}
	o.Limits, o.Registries = o.Limits.withDefaults(), o.Registries.withDefaults()
	named, err := reference.ParseNormalizedNamed(r.At)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", r, err)
	}
	named = reference.TagNameOnly(named)
	path := reference.Path(named)
	scope := "repository:" + path + ":pull"
	if write {
		scope += ",push"
	}
	remote := &Remote{path: path, named: named}
	var first string
	if !write {
		first = remote.namedPath()
	}
	if remote.session, err = begin(ctx, o, server{host: reference.Domain(named)}, scope, first); err != nil {
		return nil, fmt.Errorf("opening %s: %w", r, err)
	}
	return remote, nil
}

// namedPath is where the registry has what the reference leads to.
func (r *Remote) namedPath() string {
	if d, is := r.named.(reference.Digested); is {
		return r.manifestPath(d.Digest().String())
	}
	return r.manifestPath(r.Tag())
}

func (r *Remote) manifestPath(id string) string { return "/v2/" + r.path + "/manifests/" + id }

// Close gives the connections back.
func (r *Remote) Close() error {
	r.web.close()
	return nil
}

// Repository is docker's name of the repository, with its host.
func (r *Remote) Repository() string { return r.named.Name() }

// Tag is the tag that the reference has, "" where it names a digest alone.
func (r *Remote) Tag() string {
	if t, is := r.named.(reference.Tagged); is {
		return t.Tag()
	}
	return ""
}

// Named gives the manifest or index that the reference leads to.
func (r *Remote) Named(ctx context.Context) (*Document, error) {
	if d, is := r.named.(reference.Digested); is {
		return r.Manifest(ctx, d.Digest())
	}
	return r.Tagged(ctx, r.named.(reference.Tagged).Tag())
}

// Manifest gives the one with a digest.
func (r *Remote) Manifest(ctx context.Context, id digest.Digest) (*Document, error) {
	if err := id.Validate(); err != nil {
		return nil, other(fmt.Errorf("%.100q is no digest: %w", id, err))
	}
	d, err := r.manifest(ctx, id.String(), id.Algorithm())
	if err != nil {
		return nil, err
	}
	return d, other(check("the manifest", id, d.Digest))
}

// Tagged gives the one that a tag leads to now. Its digest is what it has.
func (r *Remote) Tagged(ctx context.Context, tag string) (*Document, error) {
	if _, err := reference.WithTag(reference.TrimNamed(r.named), tag); err != nil {
		return nil, fmt.Errorf("%.100q is no tag: %w", tag, err)
	}
	return r.manifest(ctx, tag, digest.SHA256)
}

func (r *Remote) manifest(ctx context.Context, id string, algorithm digest.Algorithm) (*Document, error) {
	data, header, err := r.document(ctx, r.manifestPath(id), "", accept())
	if err != nil {
		return nil, missing(err)
	}
	d := &Document{Data: data}
	d.Digest, d.Size = algorithm.FromBytes(data), int64(len(data))
	d.MediaType, err = typeOf(data, header.Get("Content-Type"))
	return d, other(err)
}

// other is ErrOther for what is wrong with the bytes that came.
func other(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrOther, err)
}

// missing is ErrNotFound for an answer that says so.
func missing(err error) error {
	if status := new(statusError); errors.As(err, &status) && status.code == http.StatusNotFound {
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return err
}

// Blob gives a small blob whole: of no more than so many bytes, and of the size and digest
// that its descriptor says.
func (r *Remote) Blob(ctx context.Context, d oci.Descriptor, most int64) ([]byte, error) {
	if err := d.Digest.Validate(); err != nil {
		return nil, other(fmt.Errorf("%.100q is no digest: %w", d.Digest, err))
	}
	if d.Size < 0 || d.Size > most {
		return nil, other(fmt.Errorf("the blob %s has %d bytes, and %d is the most", d.Digest, d.Size, most))
	}
	ctx, cancel := context.WithTimeout(ctx, r.web.o.whole())
	defer cancel()
	resp, err := r.get(ctx, "/v2/"+r.path+"/blobs/"+d.Digest.String(), "", nil, http.StatusOK)
	if err != nil {
		return nil, missing(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, d.Size+1))
	if err != nil {
		return nil, told(err)
	}
	if int64(len(data)) != d.Size {
		return nil, other(fmt.Errorf("the blob %s does not have the %d bytes that are said of it", d.Digest, d.Size))
	}
	return data, other(check("the blob", d.Digest, d.Digest.Algorithm().FromBytes(data)))
}

// Referrers are the manifests that say that they are about another, by its digest, no more
// than most. A registry without that question keeps them in an index by a tag (OCI
// distribution specification, Listing Referrers and Referrers Tag Schema). Whoever may write
// to the repository may put anything there.
func (r *Remote) Referrers(ctx context.Context, of digest.Digest, most int) ([]oci.Descriptor, error) {
	if err := of.Validate(); err != nil {
		return nil, fmt.Errorf("%.100q is no digest: %w", of, err)
	}
	var all []oci.Descriptor
	seen := map[digest.Digest]bool{}
	take := func(data []byte) error {
		var index struct {
			MediaType string           `json:"mediaType"`
			Manifests []oci.Descriptor `json:"manifests"`
		}
		if _, err := strict.Decode("the list of referrers", data, &index); err != nil {
			return err
		}
		if index.MediaType != "" && index.MediaType != oci.MediaTypeImageIndex {
			return fmt.Errorf("the list of referrers is %.100q, and no index", index.MediaType)
		}
		for _, d := range index.Manifests {
			if seen[d.Digest] {
				continue
			}
			if seen[d.Digest] = true; len(seen) > most {
				return beyond("the registry names", most, "referrers")
			}
			all = append(all, d)
		}
		return nil
	}
	atTag := func() ([]oci.Descriptor, error) {
		d, err := r.Tagged(ctx, referrersTag(of))
		if errors.Is(err, ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		err = take(d.Data)
		return all, err
	}
	if r.unasked {
		return atTag()
	}
	var query url.Values
	for {
		before := len(all)
		data, header, err := r.document(ctx, "/v2/"+r.path+"/referrers/"+of.String(), query.Encode(), http.Header{"Accept": {oci.MediaTypeImageIndex}})
		if query == nil && unasked(err) {
			r.unasked = true
			return atTag()
		}
		if err != nil {
			return nil, err
		}
		if err := take(data); err != nil {
			return nil, err
		}
		if query = nextPage(header); query == nil {
			return all, nil
		}
		if len(all) == before { // else a registry could go on for ever
			return nil, errors.New("the registry names a next page of referrers over and over")
		}
	}
}

// unasked is true for the answer of a registry that is not asked what refers to a manifest:
// that question is newer than many.
func unasked(err error) bool {
	status := new(statusError)
	return errors.As(err, &status) && (status.code == http.StatusNotFound || status.code == http.StatusMethodNotAllowed)
}

// referrersTag is where a registry that is not asked has the index of what refers to a
// manifest.
func referrersTag(of digest.Digest) string { return of.Algorithm().String() + "-" + of.Encoded() }

// PutReferrer uploads a manifest that refers to another, its subject, and where the registry
// does not keep the list of these itself, adds it to the index that has it (OCI distribution
// specification, Pushing Manifests with Subject). Of two who do that at a time, one may lose:
// registries cannot change an index only if it is as it was.
func (r *Remote) PutReferrer(ctx context.Context, m oci.Manifest) (oci.Descriptor, error) {
	if m.Subject == nil || m.ArtifactType == "" {
		return oci.Descriptor{}, errors.New("a manifest that refers to another has a subject and a type")
	}
	data, err := json.Marshal(m)
	if err != nil {
		return oci.Descriptor{}, err
	}
	d, err := r.PutManifest(ctx, "", m.MediaType, data)
	if err != nil {
		return d, err
	}
	d.ArtifactType, d.Annotations = m.ArtifactType, m.Annotations
	_, _, err = r.document(ctx, "/v2/"+r.path+"/referrers/"+m.Subject.Digest.String(), "", http.Header{"Accept": {oci.MediaTypeImageIndex}})
	if err == nil || !unasked(err) {
		return d, err
	}
	index := oci.Index{MediaType: oci.MediaTypeImageIndex, Manifests: []oci.Descriptor{}}
	index.SchemaVersion = 2
	tag := referrersTag(m.Subject.Digest)
	switch old, err := r.Tagged(ctx, tag); {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return d, err
	case old.MediaType != oci.MediaTypeImageIndex:
		return d, fmt.Errorf("the tag %s, for the list of referrers, leads to %.100q", tag, old.MediaType)
	default:
		if _, err := strict.Decode("the list of referrers", old.Data, &index); err != nil {
			return d, err
		}
	}
	if slices.ContainsFunc(index.Manifests, func(is oci.Descriptor) bool { return is.Digest == d.Digest }) {
		return d, nil
	}
	index.Manifests = append(index.Manifests, d)
	if data, err = json.Marshal(index); err == nil {
		_, err = r.PutManifest(ctx, tag, oci.MediaTypeImageIndex, data)
	}
	return d, err
}

// PutBlob uploads a blob, in one piece (OCI distribution specification, POST then PUT).
func (r *Remote) PutBlob(ctx context.Context, mediaType string, data []byte) (oci.Descriptor, error) {
	d := oci.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	ctx, cancel := context.WithTimeout(ctx, r.web.o.whole())
	defer cancel()
	resp, err := r.send(ctx, http.MethodPost, r.at("/v2/"+r.path+"/blobs/uploads/", nil), "", nil, http.StatusAccepted)
	if err != nil {
		return d, err
	}
	// Where to go on is relative to what was asked, and may have a query of its own.
	to, err := resp.Location()
	if err != nil {
		return d, fmt.Errorf("the registry does not say where to upload to: %w", err)
	}
	if to.Scheme != r.base.Scheme || to.Host != r.base.Host {
		return d, fmt.Errorf("the registry sends the upload to another host, %s, which gets nothing", place(to))
	}
	query := to.Query()
	query.Set("digest", d.Digest.String())
	to.RawQuery = query.Encode()
	_, err = r.send(ctx, http.MethodPut, *to, "application/octet-stream", data, http.StatusCreated)
	return d, err
}

// PutManifest uploads a manifest or an index, by a tag, or by its digest where that is "".
func (r *Remote) PutManifest(ctx context.Context, tag, mediaType string, data []byte) (oci.Descriptor, error) {
	d := oci.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	if tag == "" {
		tag = d.Digest.String()
	}
	ctx, cancel := context.WithTimeout(ctx, r.web.o.whole())
	defer cancel()
	_, err := r.send(ctx, http.MethodPut, r.at("/v2/"+r.path+"/manifests/"+tag, nil), mediaType, data, http.StatusCreated)
	return d, err
}

func (r *Remote) at(path string, query url.Values) url.URL {
	at := r.base
	at.Path, at.RawQuery = path, query.Encode()
	return at
}

// send writes to the registry. Its answer has no body any more.
func (r *Remote) send(ctx context.Context, method string, at url.URL, mediaType string, data []byte, codes ...int) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, at.String(), bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if mediaType != "" {
		req.Header.Set("Content-Type", mediaType)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, told(err)
	}
	defer resp.Body.Close()
	if err := transport.CheckError(resp, codes...); err != nil {
		return nil, told(err)
	}
	return resp, nil
}

// IsIndex is true for a document that lists manifests, and names no layers.
func (d *Document) IsIndex() bool {
	return slices.Contains([]string{oci.MediaTypeImageIndex, dockerList}, strings.TrimSpace(d.MediaType))
}
