package rule

import (
	"slices"

	"github.com/plimsoll/plimsoll/internal/finding"
)

// roleViews are the files by what they are for. Those of which that is not known may
// be for anything.
type roleViews struct {
	of   map[string][]view
	dark []view
}

func rolesOf(files []view) *roleViews {
	r := &roleViews{of: map[string][]view{}}
	for _, v := range files {
		if roleHidden(&v) != nil {
			r.dark = append(r.dark, v)
			continue
		}
		r.of[v.subject.ID] = append(r.of[v.subject.ID], v)
	}
	return r
}

// views are the files of the roles, in the order of the roles.
func (r *roleViews) views(roles []string) []view {
	if len(roles) == 1 && len(r.dark) == 0 {
		return r.of[roles[0]]
	}
	var views []view
	for _, role := range roles {
		views = append(views, r.of[role]...)
	}
	return append(views, r.dark...)
}

// roleHidden is what it takes to know what a file is for and was not seen; nil for
// nothing.
func roleHidden(v *view) []finding.Missing {
	i := slices.IndexFunc(v.hidden, func(h hiddenFact) bool { return h.touches(fileRole) })
	if i < 0 {
		return nil
	}
	return v.hidden[i].missing
}

var fileRole = []string{"file", "role"}
