package facts

import (
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/workload"
)

// Subject is one thing that rules judge.
type Subject struct {
	ID, Name string
	// Also are its other names, each on a line.
	Also string
	// Value is a pointer to its facts.
	Value any
	// Unseen is what of it was not observed, with paths below it; nil for what
	// there is one of, whose unseen facts are in Facts.Unseen.
	Unseen *[]workload.Unseen
}

// Subjects are the things of one kind.
type Subjects struct {
	// Kind is the word that rules know one of them by, and Path where they are in
	// the document.
	Kind, Path string
	Len        int
	At         func(i int) Subject
}

// Kinds are the words for all that there are many of, in the document's order.
var Kinds = []string{"file", "image", "container", "network", "contents"}

// contentsKey is the one key of the document that is left out where there is nothing.
const contentsKey = "contents"

// Listed gives what there are many of, in the order of Kinds.
func (f *Facts) Listed() []Subjects {
	return []Subjects{
		{"file", "files", len(f.Files), func(i int) Subject {
			x := &f.Files[i]
			return Subject{ID: x.Role, Name: x.Name(), Value: x, Unseen: &x.Unseen}
		}},
		{"image", "images", len(f.Images), func(i int) Subject {
			x := &f.Images[i]
			return Subject{ID: x.ID, Name: x.Name(), Also: strings.Join(x.Tags, "\n"), Value: x, Unseen: &x.Unseen}
		}},
		{"container", "containers", len(f.Containers), func(i int) Subject {
			x := &f.Containers[i]
			return Subject{ID: x.ID, Name: x.DisplayName(), Value: x, Unseen: &x.Unseen}
		}},
		{"network", "networks", len(f.Networks), func(i int) Subject {
			x := &f.Networks[i]
			return Subject{ID: x.ID, Name: x.Name, Value: x, Unseen: &x.Unseen}
		}},
		{"contents", contentsKey, len(f.Contents), func(i int) Subject {
			x := &f.Contents[i]
			return Subject{ID: x.ID, Name: x.Name, Value: x, Unseen: &x.Unseen}
		}},
	}
}

// Rest is why there may be more of a kind than is listed, or nothing.
func (f *Facts) Rest(path string) (workload.Unseen, bool) {
	i := slices.IndexFunc(f.Unseen, func(u workload.Unseen) bool { return u.Path == path || u.Path == path+workload.Open })
	if i < 0 {
		return workload.Unseen{}, false
	}
	return f.Unseen[i], true
}
