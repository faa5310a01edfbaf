package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/distribution/reference"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// Listed is an image of a registry, or why those of a repository could not be told.
type Listed struct {
	// Reference is of one image, by its tag; with Err, of the repository, as HOST/PATH:*.
	Reference Reference
	Err       error
}

// List tells the images that a reference stands for: see [Reference.Several]. Of a name of
// one image that is itself. Repositories below a path are found in the registry's catalog
// (the distribution specification of Docker, GET /v2/_catalog); where the registry has none,
// or does not show it, HOST/PATH/* is the repository HOST/PATH itself. What could not be
// told of one repository stands beside the images of the others, and only where nothing at
// all could be told is that the error. Images are in the order of repository and tag.
// Mirrors are not asked: they have what was asked for before.
func List(ctx context.Context, r Reference, o Options) ([]Listed, error) {
	if !r.Several() {
		return []Listed{{Reference: r}}, nil
	}
	o.Limits, o.Registries = o.Limits.withDefaults(), o.Registries.withDefaults()
	p, err := r.pattern()
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", r, err)
	}
	paths := []string{p.path}
	if p.below {
		paths, err = catalog(ctx, o, p)
		var status *statusError
		switch {
		case errors.As(err, &status) && status.code < 500 && p.path != "":
			list, wrong := tags(ctx, o, p.host, p.path, o.Limits.Tags)
			if wrong != nil {
				return nil, fmt.Errorf("listing %s: there is no catalog: %w; nor such a repository: %w", r, err, wrong)
			}
			return list, nil
		case err != nil:
			return nil, fmt.Errorf("listing %s: %w", r, err)
		}
	}
	var all []Listed
	failed := 0
	for _, path := range paths {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("listing %s: %w", r, err)
		}
		list, err := tags(ctx, o, p.host, path, o.Limits.Tags-len(all))
		if err != nil {
			failed++
			list = []Listed{{Reference{Registry, p.host + "/" + path + ":*"}, err}}
		}
		all = append(all, list...)
	}
	if failed == len(paths) && failed > 0 {
		return nil, fmt.Errorf("listing %s: %w", r, all[0].Err)
	}
	return all, nil
}

// repositoryPath is what a repository may be called (the distribution specification, Pull).
var repositoryPath = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)

// catalog are the repositories below a path.
func catalog(ctx context.Context, o Options, p pattern) ([]string, error) {
	s, err := begin(ctx, o, server{host: p.host}, "registry:catalog:*", "")
	if err != nil {
		return nil, err
	}
	defer s.web.close()
	all, err := s.pages(ctx, "/v2/_catalog", o.Limits.Repositories, "repositories", func(data []byte) ([]string, error) {
		var page struct {
			Repositories []string `json:"repositories"`
		}
		_, err := strict.Decode("the catalog", data, &page)
		return page.Repositories, err
	})
	if err != nil {
		return nil, err
	}
	var below []string
	for _, path := range all {
		if len(path) > 255 || !repositoryPath.MatchString(path) {
			return nil, fmt.Errorf("the catalog has %q, which is no repository", shown(path))
		}
		if p.path == "" || strings.HasPrefix(path, p.path+"/") {
			below = append(below, path)
		}
	}
	return below, nil
}

// tags are the images of a repository.
func tags(ctx context.Context, o Options, host, path string, most int) ([]Listed, error) {
	s, err := begin(ctx, o, server{host: host}, "repository:"+path+":pull", "")
	if err != nil {
		return nil, err
	}
	defer s.web.close()
	all, err := s.pages(ctx, "/v2/"+path+"/tags/list", most, "tags", func(data []byte) ([]string, error) {
		var page struct {
			Tags []string `json:"tags"`
		}
		_, err := strict.Decode("the list of tags", data, &page)
		return page.Tags, err
	})
	if err != nil {
		return nil, err
	}
	var list []Listed
	for _, tag := range all {
		name := host + "/" + path + ":" + tag
		if _, err := reference.ParseNormalizedNamed(name); err != nil || strings.ContainsAny(tag, "/@") {
			return nil, fmt.Errorf("the list of tags has %q, which is no tag", shown(tag))
		}
		list = append(list, Listed{Reference: Reference{Registry, name}})
	}
	return list, nil
}

// pageSize is how many names are asked for at once; some registries give no more than 1000.
const pageSize = 1000

// pages reads a list that comes page by page (the distribution specification, Listing Tags):
// the header Link names the next, of which only where it begins is taken. The names are
// sorted, each once.
func (s *session) pages(ctx context.Context, path string, most int, what string, read func([]byte) ([]string, error)) ([]string, error) {
	seen := map[string]bool{}
	query := url.Values{"n": {strconv.Itoa(pageSize)}}
	for {
		data, header, err := s.document(ctx, path, query.Encode(), nil)
		if err != nil {
			return nil, err
		}
		names, err := read(data)
		if err != nil {
			return nil, err
		}
		before := len(seen)
		for _, name := range names {
			if seen[name] = true; len(seen) > most {
				return nil, beyond("the registry names", most, what)
			}
		}
		next := nextPage(header)
		if next == nil {
			break
		}
		// Each page must bring something, else a registry could go on for ever.
		if len(seen) == before {
			return nil, fmt.Errorf("the registry names a next page of %s over and over", what)
		}
		query = next
	}
	all := make([]string, 0, len(seen))
	for name := range seen {
		all = append(all, name)
	}
	slices.SortFunc(all, func(a, b string) int { return cmp.Compare(a, b) })
	return all, nil
}

// nextPage is the query of the next page; nil where there is none (RFC 8288).
func nextPage(header http.Header) url.Values {
	for _, link := range header.Values("Link") {
		target, params, found := strings.Cut(strings.TrimPrefix(strings.TrimSpace(link), "<"), ">")
		if !found || !strings.Contains(params, "next") {
			continue
		}
		if u, err := url.Parse(target); err == nil && u.RawQuery != "" {
			return u.Query()
		}
	}
	return nil
}
