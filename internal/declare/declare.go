// Package declare reads what somebody said about what they deploy: who owns it, why it is
// there, what it is for and how long it stays. It is said in labels of the container, so
// that compose files and run lines can have it; [Of] reads them.
//
// Who deploys by plimsoll deploy says it once for all: a [Saying] is what is [Said] and what
// else is known, such as by [FromCI], and [Saying.Onto] tells which labels come of it.
//
// The package does not believe or check what is said: whoever made the container said it.
// The labels of others that it reads are those of OCI images (image-spec, annotations.md),
// of compose and of swarm.
package declare

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/redact"
	"github.com/plimsoll/plimsoll/internal/trail"
)

// The labels that say who a container belongs to and what for.
const (
	LabelOwner       = "plimsoll.owner"
	LabelWhy         = "plimsoll.why"
	LabelIntent      = "plimsoll.intent"
	LabelRetireAfter = "plimsoll.retire-after" // a date, a time, or hours, days or weeks: "90d"
)

// Where a declaration comes from: somebody wrote labels, or ran plimsoll deploy, which wrote
// the owner or why.
const (
	SourceLabels = "labels"
	SourceDeploy = "deploy"
)

// MaxText bounds each text, in bytes.
const MaxText = 1 << 10

// told are the labels that a deployment is described by otherwise.
var told = [][2]string{
	{"source", "org.opencontainers.image.source"},
	{"revision", "org.opencontainers.image.revision"},
	{"version", "org.opencontainers.image.version"},
	{"project", "com.docker.compose.project"},
	{"compose_service", "com.docker.compose.service"},
	{"swarm_service", "com.docker.swarm.service.name"},
	{"swarm_task", "com.docker.swarm.task.name"},
	{"run", LabelRun},
	{"commit", LabelCommit},
	{"repository", LabelRepository},
}

// Of is what labels say of a container that was created at that time; nil is nothing. What
// they say otherwise is in the map, by names of an event's detail, without what is empty.
func Of(labels map[string]string, created time.Time) (*trail.Declared, map[string]string) {
	ours := map[string]string{}
	for _, name := range []string{LabelOwner, LabelWhy, LabelIntent, LabelRetireAfter} {
		ours[name] = strings.TrimSpace(labels[name])
	}
	theirs, more := map[string]string{}, map[string]string{}
	for _, t := range told {
		theirs[t[1]] = labels[t[1]]
	}
	ours, theirs = redact.Labels(ours), redact.Labels(theirs)
	for _, t := range told {
		if text := theirs[t[1]]; text != "" {
			more[t[0]] = trail.Clip(text, MaxText)
		}
	}
	say := &trail.Declared{Owner: trail.Clip(ours[LabelOwner], MaxText), Why: trail.Clip(ours[LabelWhy], MaxText), Intent: trail.Clip(ours[LabelIntent], MaxText)}
	if asked := ours[LabelRetireAfter]; asked != "" {
		if say.RetireAfter = RetireAfter(asked, created); say.RetireAfter == "" {
			more["retire_after_unreadable"] = trail.Clip(asked, MaxText)
		}
	}
	if *say == (trail.Declared{}) {
		return nil, more
	}
	say.Source = SourceLabels
	if names := strings.Fields(labels[LabelDeploy]); slices.Contains(names, "owner") || slices.Contains(names, "why") {
		say.Source = SourceDeploy
	}
	return say, more
}

var duration = regexp.MustCompile(`^([0-9]{1,6}) ?([hdw])$`)

// RetireAfter reads a date, a time, or hours, days or weeks from then on; "" is what
// cannot be read. A date stays one: it counts to its end.
func RetireAfter(asked string, from time.Time) string {
	if day, err := time.Parse(time.DateOnly, asked); err == nil {
		return day.Format(time.DateOnly)
	}
	if at, err := time.Parse(time.RFC3339, asked); err == nil {
		return at.UTC().Format(time.RFC3339)
	}
	m := duration.FindStringSubmatch(asked)
	if m == nil || from.IsZero() {
		return ""
	}
	n, _ := strconv.Atoi(m[1]) // it has digits alone
	switch m[2] {
	case "h":
		from = from.Add(time.Duration(n) * time.Hour)
	case "d":
		from = from.UTC().AddDate(0, 0, n)
	case "w":
		from = from.UTC().AddDate(0, 0, 7*n)
	}
	if from.Year() > 9999 { // RFC 3339 has no more
		return ""
	}
	return from.UTC().Format(time.RFC3339)
}
