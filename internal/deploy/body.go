package deploy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/declare"
	"github.com/plimsoll/plimsoll/internal/strict"
)

// making is what a request makes, by which its body has labels in other places.
type making uint8

const (
	nothing       making = iota // that gets labels
	container                   // POST /containers/create
	service                     // POST /services/create
	serviceUpdate               // POST /services/{id}/update
)

var (
	versionPrefix = regexp.MustCompile(`^/v[0-9.]+/`)
	updatePath    = regexp.MustCompile(`^/services/.+/update$`)
)

// makes tells what a request makes. The engine routes by the decoded path, with or without a
// version, so that a path is taken here for what it could be read as: labels too many do no
// harm.
func makes(method, escaped string) making {
	if method != "POST" {
		return nothing
	}
	decoded, err := url.PathUnescape(escaped)
	if err != nil {
		return nothing // which no engine reads either
	}
	at := path.Clean("/" + decoded)
	if prefix := versionPrefix.FindString(at); prefix != "" {
		at = at[len(prefix)-1:]
	}
	switch {
	case at == "/containers/create":
		return container
	case at == "/services/create":
		return service
	case updatePath.MatchString(at):
		return serviceUpdate
	}
	return nothing
}

// onto puts a declaration into the body of a request, and gives the body as it was where it
// says all that already. Now is for an update. An error names what the engine could read in
// two ways, or cannot.
func onto(what making, data []byte, say declare.Saying, now engineNow) ([]byte, error) {
	root, err := strict.Tree("", data)
	if err != nil {
		return nil, err
	}
	if root.Kind != strict.Object {
		return nil, root.Fail("the body is no object", "")
	}
	labels, err := member(root, "Labels")
	if err != nil {
		return nil, err
	}
	e := edits{data: data}
	set, drop := say.Onto(textsOf(labels))
	e.labels(root, labels, set, drop)
	if what == container {
		return e.apply(), nil
	}
	task, err := member(root, "TaskTemplate")
	if err != nil {
		return nil, err
	}
	spec, err := member(task, "ContainerSpec")
	if err != nil {
		return nil, err
	}
	if spec == nil || spec.Kind == strict.Null {
		return e.apply(), nil // a plugin's, say
	}
	labels, err = member(spec, "Labels")
	if err != nil {
		return nil, err
	}
	set, drop = say.Onto(textsOf(labels))
	if now.sameTask(task) {
		set, drop = kept(textsOf(now.service.Get("Spec").Get("TaskTemplate").Get("ContainerSpec").Get("Labels")))
	}
	e.labels(spec, labels, set, drop)
	return e.apply(), nil
}

// member gives what an object has under a key as the engine reads it, in any case; nil where
// it has none, or is none itself. It is an object or null.
func member(v *strict.Value, key string) (*strict.Value, error) {
	if v == nil {
		return nil, nil
	}
	var found *strict.Value
	for _, m := range v.Members {
		if strict.Fold(m.Key) != strict.Fold(key) {
			continue
		}
		if found != nil {
			return nil, m.Value.Fail(fmt.Sprintf("%s is given twice, in different cases", key), "")
		}
		found = m.Value
	}
	if found != nil && found.Kind != strict.Object && found.Kind != strict.Null {
		return nil, found.Fail(fmt.Sprintf("%s is %s, and must be an object", key, found.Kind), "")
	}
	return found, nil
}

// textsOf are labels. What is no text is left to the engine, as an empty one.
func textsOf(labels *strict.Value) map[string]string {
	texts := map[string]string{}
	if labels == nil {
		return texts
	}
	for _, m := range labels.Members {
		texts[m.Key] = ""
		if m.Value.Kind == strict.String {
			texts[m.Key] = m.Value.Text()
		}
	}
	return texts
}

// kept says how to change labels to those that are there, as far as they are plimsoll's.
func kept(labels map[string]string) (set map[string]string, drop []string) {
	set = map[string]string{}
	for _, name := range declare.Names() {
		if text, there := labels[name]; there {
			set[name] = text
		} else {
			drop = append(drop, name)
		}
	}
	return set, drop
}

// edits are changes to a text, each of which replaces some bytes.
type edits struct {
	data []byte
	list []edit
}

type edit struct {
	start, end int
	text       []byte
}

// labels changes the labels of an object, which are nil where it has none.
func (e *edits) labels(of, labels *strict.Value, set map[string]string, drop []string) {
	if labels == nil && len(set) == 0 {
		return
	}
	text, left := []byte{'{'}, map[string]string{}
	for name, t := range set {
		left[name] = t
	}
	add := func(key string, value []byte) {
		if len(text) > 1 {
			text = append(text, ',')
		}
		text = append(append(append(text, quote(key)...), ':'), value...)
	}
	changed := false
	if labels != nil {
		for _, m := range labels.Members {
			value, ours := left[m.Key]
			switch {
			case slices.Contains(drop, m.Key):
				changed = true
			case ours:
				delete(left, m.Key)
				changed = changed || m.Value.Kind != strict.String || m.Value.Text() != value
				add(m.Key, quote(value))
			default:
				add(m.Key, m.Value.Raw())
			}
		}
	}
	for _, name := range declare.Names() {
		if value, more := left[name]; more {
			add(name, quote(value))
			changed = true
		}
	}
	if !changed {
		return
	}
	text = append(text, '}')
	if labels != nil {
		start, end := labels.Span()
		e.list = append(e.list, edit{start, end, text})
		return
	}
	text = append([]byte(`"Labels":`), text...)
	if len(of.Members) > 0 {
		text = append(text, ',')
	}
	start, _ := of.Span()
	e.list = append(e.list, edit{start + 1, start + 1, text})
}

// apply gives the changed text.
func (e *edits) apply() []byte {
	slices.SortFunc(e.list, func(a, b edit) int { return a.start - b.start })
	var out []byte
	at := 0
	for _, one := range e.list {
		out = append(append(out, e.data[at:one.start]...), one.text...)
		at = one.end
	}
	return append(out, e.data[at:]...)
}

// quote writes a text as JSON does.
func quote(text string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	// A text can always be written; bytes that are none become U+FFFD.
	_ = enc.Encode(strings.ToValidUTF8(text, "\uFFFD"))
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
