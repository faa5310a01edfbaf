package image

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	oci "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// ErrNotKept is what a cache has not got, where nobody else may be asked. Who asks says how to
// get it.
var ErrNotKept = errors.New("the cache has not got it")

// Cache is a folder of what registries gave: documents by their digests, and what a question was
// answered with, and when. Documents are checked when they are read; answers are believed as far
// as the folder is: only its owner may write there. What is oldest is taken away where there is
// more than it may hold. A cache without a folder keeps nothing, and one that can't be written
// is none: nothing fails for it.
type Cache struct {
	Dir string
	// Most is how many bytes it may hold, as the disk counts them. Default 256 MiB.
	Most int64
	// Now is when it is used.
	Now time.Time
}

// The folders of a cache, and the bounds of what is in them.
const (
	keptBlobs   = "blobs"
	keptAnswers = "answers"
	keptMost    = 256 << 20
	keptAnswer  = 8 << 20
	diskBlock   = 4096
)

// Get gives the bytes of a digest, of no more than so many; false is that they are not there.
func (c Cache) Get(id digest.Digest, most int64) ([]byte, bool) {
	if c.Dir == "" || id.Validate() != nil {
		return nil, false
	}
	path := filepath.Join(c.Dir, keptBlobs, id.Algorithm().String(), id.Encoded())
	data, err := c.read(path, most)
	if err != nil {
		return nil, false
	}
	if id.Algorithm().FromBytes(data) != id {
		os.Remove(path)
		return nil, false
	}
	return data, true
}

// Put keeps bytes by their digest, and says whether they are new.
func (c Cache) Put(id digest.Digest, data []byte) bool {
	if c.Dir == "" || id.Validate() != nil {
		return false
	}
	path := filepath.Join(c.Dir, keptBlobs, id.Algorithm().String(), id.Encoded())
	if info, err := os.Lstat(path); err == nil && info.Size() == int64(len(data)) {
		return false
	}
	c.write(path, data)
	return true
}

// read reads a file, and notes that it was used.
func (c Cache) read(path string, most int64) ([]byte, error) {
	file, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > most {
		return nil, beyond(path+" has", most, "bytes")
	}
	// To the day: a cache is not written to for being read.
	if info, err := file.Stat(); err == nil && c.Now.Sub(info.ModTime()) > 24*time.Hour {
		_ = os.Chtimes(path, c.Now, c.Now)
	}
	return data, nil
}

// write puts a whole file there, or none. A crash may take it away again, and it is asked for anew:
// what is durable takes longer.
func (c Cache) write(path string, data []byte) {
	if os.MkdirAll(filepath.Dir(path), 0o700) != nil {
		return
	}
	next, err := os.CreateTemp(filepath.Dir(path), ".next-")
	if err != nil {
		return
	}
	defer os.Remove(next.Name())
	_, err = next.Write(data)
	if errors.Join(err, next.Close()) != nil {
		return
	}
	if !c.Now.IsZero() {
		_ = os.Chtimes(next.Name(), c.Now, c.Now)
	}
	_ = os.Rename(next.Name(), path)
}

// Trim takes the oldest away where there is more than may be, until a quarter is free.
func (c Cache) Trim() {
	if c.Dir == "" {
		return
	}
	type kept struct {
		path string
		at   time.Time
		size int64
	}
	var all []kept
	var total int64
	_ = filepath.WalkDir(c.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		size := (info.Size() + diskBlock - 1) / diskBlock * diskBlock
		all = append(all, kept{path, info.ModTime(), size})
		total += size
		return nil
	})
	most := cmp.Or(c.Most, keptMost)
	if total <= most {
		return
	}
	slices.SortFunc(all, func(a, b kept) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.path, b.path)) })
	for _, one := range all {
		if total <= most/4*3 {
			return
		}
		if os.Remove(one.path) == nil {
			total -= one.size
		}
	}
}

// replySchema names the form of an answer that is kept.
const replySchema = "plimsoll/answer/1"

// reply is what a repository said to one question. Of a document the bytes are kept by their
// digest.
type reply struct {
	Schema     string `json:"schema"`
	Repository string `json:"repository"`
	Question   string `json:"question"`
	// At is when it was asked.
	At time.Time `json:"at"`
	// One of these: a document, a list of referrers, which may be empty, that there is
	// nothing, or that what is there can't be what is said of it.
	Document  *oci.Descriptor  `json:"document,omitempty"`
	Referrers []oci.Descriptor `json:"referrers,omitempty"`
	Absent    bool             `json:"absent,omitempty"`
	Other     string           `json:"other,omitempty"`
}

func (c Cache) replyPath(repository, question string) string {
	return filepath.Join(c.Dir, keptAnswers, digest.FromString(repository+"\n"+question).Encoded()+".json")
}

// reply is what a repository said to a question when it was last asked.
func (c Cache) reply(repository, question string) (*reply, bool) {
	if c.Dir == "" {
		return nil, false
	}
	path := c.replyPath(repository, question)
	data, err := c.read(path, keptAnswer)
	if err != nil {
		return nil, false
	}
	a := &reply{}
	if err := strict.JSON(path, data, a); err != nil || a.Schema != replySchema || a.Repository != repository || a.Question != question || a.At.IsZero() {
		return nil, false
	}
	return a, true
}

// keep keeps a reply in the place of the one before, and says whether there was none.
func (c Cache) keep(a *reply) bool {
	if c.Dir == "" {
		return false
	}
	a.Schema, a.At = replySchema, c.Now
	path := c.replyPath(a.Repository, a.Question)
	_, err := os.Lstat(path)
	if data, wrong := json.Marshal(a); wrong == nil && len(data) <= keptAnswer {
		c.write(path, data)
	}
	return err != nil
}

// askable asks whether a registry answers at all what refers to a manifest of a repository, which may
// be another's that it passes on. Unasking is how long it is not asked that again: a newer version
// of it does.
const (
	askable  = "referrers of anything"
	unasking = time.Hour
)

// Cached is a [Repository] of a registry whose answers are kept in a [Cache]. What a tag leads
// to, what refers to a manifest and whether what was asked for is still there the registry is
// asked each time, and once in the life of a Cached; manifests and blobs that are kept by their
// digests are not fetched again.
//
// Offline, the registry is not asked: it answers as it did when it was last asked, which is
// [ErrNotKept] for what it never was.
type Cached struct {
	remote *Remote // nil is offline
	cache  Cache
	named  reference.Named
	said   map[string]*reply
	wrote  bool
	seen   time.Time
}

// OpenCached opens the repository that a reference of a registry is in, to read from; offline
// only the cache is.
func OpenCached(ctx context.Context, r Reference, c Cache, offline bool, o Options) (*Cached, error) {
	named, err := reference.ParseNormalizedNamed(r.At)
	if err != nil || r.Source != Registry || r.Several() {
		return nil, fmt.Errorf("opening %s: it names no image of a registry", r)
	}
	k := &Cached{cache: c, named: reference.TagNameOnly(named), said: map[string]*reply{}}
	if offline {
		return k, nil
	}
	if k.remote, err = OpenRemote(ctx, r, false, o); err != nil {
		return nil, err
	}
	if a, known := c.reply(k.Repository(), askable); known && a.Absent && c.Now.Sub(a.At) < unasking {
		k.remote.unasked = true
	}
	return k, nil
}

// Close gives the connections back, and takes what is oldest out of a cache that is full.
func (k *Cached) Close() error {
	if k.wrote {
		k.cache.Trim()
	}
	if k.remote == nil {
		return nil
	}
	return k.remote.Close()
}

// Seen is when the registry was asked for what was asked for, offline: zero before Named.
func (k *Cached) Seen() time.Time { return k.seen }

// Repository is docker's name of the repository, with its host.
func (k *Cached) Repository() string { return k.named.Name() }

// Tag is the tag that the reference has, "" where it names a digest alone.
func (k *Cached) Tag() string {
	if t, is := k.named.(reference.Tagged); is {
		return t.Tag()
	}
	return ""
}

// Named gives what was asked for. Of a digest the registry says whether it is still there.
func (k *Cached) Named(ctx context.Context) (*Document, error) {
	if d, is := k.named.(reference.Digested); is {
		return k.document("manifest "+string(d.Digest()), func() (*Document, error) { return k.remote.Named(ctx) })
	}
	return k.Tagged(ctx, k.Tag())
}

// Manifest gives the one with a digest.
func (k *Cached) Manifest(ctx context.Context, id digest.Digest) (*Document, error) {
	question := "manifest " + string(id)
	if a, known := k.cache.reply(k.Repository(), question); known && a.Document != nil {
		if d, err := k.kept(a); err == nil {
			return d, nil
		}
	}
	return k.document(question, func() (*Document, error) { return k.remote.Manifest(ctx, id) })
}

// Tagged gives the one that a tag leads to.
func (k *Cached) Tagged(ctx context.Context, tag string) (*Document, error) {
	return k.document("tag "+tag, func() (*Document, error) { return k.remote.Tagged(ctx, tag) })
}

// document has a question for a document answered, by the registry or as it was.
func (k *Cached) document(question string, ask func() (*Document, error)) (*Document, error) {
	if a, told := k.told(question); told {
		if d, err := k.kept(a); k.remote == nil || !errors.Is(err, ErrNotKept) {
			return d, err
		}
	}
	if k.remote == nil {
		return nil, fmt.Errorf("%w: %s of %s", ErrNotKept, question, k.Repository())
	}
	d, err := ask()
	a := &reply{}
	if err == nil {
		k.wrote = k.cache.Put(d.Digest, d.Data) || k.wrote
		a.Document = &d.Descriptor
		if !strings.HasPrefix(question, "manifest ") { // it is asked for by its digest too
			k.keep("manifest "+string(d.Digest), &reply{Document: &d.Descriptor}, nil)
		}
	}
	k.keep(question, a, err)
	return d, err
}

// told is what was answered before, in this life or, offline, ever.
func (k *Cached) told(question string) (*reply, bool) {
	a, told := k.said[question]
	if !told && k.remote == nil {
		if a, told = k.cache.reply(k.Repository(), question); told {
			k.said[question] = a
		}
	}
	if told && k.remote == nil && k.seen.IsZero() {
		k.seen = a.At
	}
	return a, told
}

// keep keeps an answer. One that is not the registry's, but of the way there, is not kept.
func (k *Cached) keep(question string, a *reply, err error) {
	switch {
	case err == nil:
	case errors.Is(err, ErrNotFound):
		a.Absent = true
	case errors.Is(err, ErrOther):
		a.Other = err.Error()
	default:
		return
	}
	a.Repository, a.Question = k.Repository(), question
	k.wrote = k.cache.keep(a) || k.wrote
	k.said[question] = a
}

// wrong is the error that was the answer.
func (a *reply) wrong() error {
	switch {
	case a.Absent:
		return fmt.Errorf("%w: %s of %s", ErrNotFound, a.Question, a.Repository)
	case a.Other != "":
		return fmt.Errorf("%w: %s", ErrOther, strings.TrimPrefix(a.Other, ErrOther.Error()+": "))
	}
	return nil
}

// kept gives the document that was the answer.
func (k *Cached) kept(a *reply) (*Document, error) {
	if err := a.wrong(); err != nil {
		return nil, err
	}
	if a.Document == nil {
		return nil, fmt.Errorf("%w: %s of %s", ErrNotKept, a.Question, a.Repository)
	}
	data, there := k.cache.Get(a.Document.Digest, a.Document.Size)
	if !there || int64(len(data)) != a.Document.Size {
		return nil, fmt.Errorf("%w any more: %s of %s", ErrNotKept, a.Question, a.Repository)
	}
	kind, err := typeOf(data, a.Document.MediaType)
	return &Document{Descriptor: oci.Descriptor{MediaType: kind, Digest: a.Document.Digest, Size: a.Document.Size}, Data: data}, other(err)
}

// Blob gives a small blob whole.
func (k *Cached) Blob(ctx context.Context, d oci.Descriptor, most int64) ([]byte, error) {
	if data, there := k.cache.Get(d.Digest, most); there && int64(len(data)) == d.Size {
		return data, nil
	}
	question := "blob " + string(d.Digest) + " " + strconv.FormatInt(d.Size, 10)
	if a, told := k.told(question); told {
		if err := a.wrong(); err != nil {
			return nil, err
		}
	}
	if k.remote == nil {
		return nil, fmt.Errorf("%w: %s of %s", ErrNotKept, question, k.Repository())
	}
	data, err := k.remote.Blob(ctx, d, most)
	if err != nil {
		k.keep(question, &reply{}, err)
		return nil, err
	}
	k.wrote = k.cache.Put(d.Digest, data) || k.wrote
	return data, nil
}

// Referrers are the manifests that say that they are about another.
func (k *Cached) Referrers(ctx context.Context, of digest.Digest, most int) ([]oci.Descriptor, error) {
	question := "referrers " + string(of)
	a, told := k.told(question)
	switch {
	case told:
		if len(a.Referrers) > most {
			return nil, beyond("the registry named", most, "referrers")
		}
		return slices.Clone(a.Referrers), a.wrong()
	case k.remote == nil:
		return nil, fmt.Errorf("%w: %s of %s", ErrNotKept, question, k.Repository())
	}
	before := k.remote.unasked
	list, err := k.remote.Referrers(ctx, of, most)
	if k.remote.unasked && !before {
		k.cache.keep(&reply{Repository: k.Repository(), Question: askable, Absent: true})
	}
	k.keep(question, &reply{Referrers: list}, err)
	return list, err
}
