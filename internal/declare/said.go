package declare

import (
	"net/url"
	"slices"
	"strings"
)

// The labels that a deployment by plimsoll deploy has beside those that people write.
const (
	LabelRun        = "plimsoll.run"        // the address of the run of continuous integration
	LabelCommit     = "plimsoll.commit"     // what was deployed, as its version control has it
	LabelRepository = "plimsoll.repository" // where that is
	// LabelDeploy names the others that plimsoll deploy has set, by the last part of their
	// names, so that what was said of an earlier deployment is not taken for what somebody
	// wrote.
	LabelDeploy = "plimsoll.deploy"
)

// prefix is of all labels of plimsoll's.
const prefix = "plimsoll."

// Said is what is said about a deployment before it is made. What is not known is "".
type Said struct {
	Owner, Why, Intent, RetireAfter string
	Run, Commit, Repository         string
}

// part is one thing that is said, and the label that says it.
type part struct {
	label string
	text  *string
}

// parts are in the order in which people read them.
func (s *Said) parts() []part {
	return []part{{LabelOwner, &s.Owner}, {LabelWhy, &s.Why}, {LabelIntent, &s.Intent}, {LabelRetireAfter, &s.RetireAfter},
		{LabelCommit, &s.Commit}, {LabelRepository, &s.Repository}, {LabelRun, &s.Run}}
}

// Names are the labels that a deployment may have, in the order in which people read them.
func Names() []string {
	var names []string
	for _, p := range new(Said).parts() {
		names = append(names, p.label)
	}
	return append(names, LabelDeploy)
}

// Or takes from the other what is not said.
func (s Said) Or(other Said) Said {
	theirs := other.parts()
	for i, p := range s.parts() {
		if strings.TrimSpace(*p.text) == "" {
			*p.text = *theirs[i].text
		}
	}
	return s
}

// Labels are what a container gets. What is not said is left out.
func (s Said) Labels() map[string]string {
	labels := map[string]string{}
	for _, p := range s.parts() {
		if text := strings.TrimSpace(*p.text); text != "" {
			labels[p.label] = text
		}
	}
	return labels
}

// Saying is what is declared of whatever is deployed: Said is what somebody says of this
// deployment, which counts more than a label that is there; Known is what is known beside,
// and counts less.
type Saying struct {
	Said, Known Said
}

// All is what is declared of what has no labels.
func (s Saying) All() Said { return s.Said.Or(s.Known) }

// Onto says how the labels of what is to be deployed are to be changed: which are set, and
// which are taken away. Taken away is what an earlier deployment said (see LabelDeploy), and
// this one does not.
func (s Saying) Onto(labels map[string]string) (set map[string]string, drop []string) {
	set = map[string]string{}
	said, known := s.Said.Labels(), s.Known.Labels()
	earlier := strings.Fields(labels[LabelDeploy])
	var ours []string
	for _, name := range Names() {
		if name == LabelDeploy {
			continue
		}
		short := strings.TrimPrefix(name, prefix)
		before, text := slices.Contains(earlier, short), said[name]
		if text == "" && (before || strings.TrimSpace(labels[name]) == "") {
			text = known[name]
		}
		_, there := labels[name]
		switch {
		case text != "":
			set[name] = text
			ours = append(ours, short)
		case before && there:
			drop = append(drop, name)
		}
	}
	if _, there := labels[LabelDeploy]; len(ours) > 0 {
		set[LabelDeploy] = strings.Join(ours, " ")
	} else if there {
		drop = append(drop, LabelDeploy)
	}
	return set, drop
}

// WithoutLogin is the address of a repository without the name and password that let one in,
// and without what follows a question mark; "" where these cannot be told apart. The form of
// ssh's, user@host:path, stays as it is: it has no room for a password.
func WithoutLogin(address string) string {
	address = strings.TrimSpace(address)
	if !strings.Contains(address, "://") {
		if strings.ContainsAny(address, "?#") || strings.Contains(address, "::") {
			return ""
		}
		return address
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" && u.Scheme != "file" {
		return ""
	}
	u.User, u.RawQuery, u.Fragment, u.ForceQuery = nil, "", "", false
	return u.String()
}
