package serve

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/redact"
	"github.com/plimsoll/plimsoll/internal/trail"
)

// The labels that say who a container belongs to and what for.
const (
	labelOwner  = "plimsoll.owner"
	labelWhy    = "plimsoll.why"
	labelIntent = "plimsoll.intent"
	labelRetire = "plimsoll.retire-after"
)

// told are the labels of others that a deployment is described by: those of OCI images
// (image-spec, annotations.md), of compose and of swarm.
var told = [][2]string{
	{"source", "org.opencontainers.image.source"},
	{"revision", "org.opencontainers.image.revision"},
	{"version", "org.opencontainers.image.version"},
	{"project", "com.docker.compose.project"},
	{"compose_service", "com.docker.compose.service"},
	{"swarm_service", "com.docker.swarm.service.name"},
	{"swarm_task", "com.docker.swarm.task.name"},
}

// declared is what labels say of a container that was created at that time. What they
// say otherwise is put into d.
func declared(labels map[string]string, created time.Time, d detail) *trail.Declared {
	ours := map[string]string{}
	for _, name := range []string{labelOwner, labelWhy, labelIntent, labelRetire} {
		ours[name] = strings.TrimSpace(labels[name])
	}
	theirs := map[string]string{}
	for _, t := range told {
		theirs[t[1]] = labels[t[1]]
	}
	ours, theirs = redact.Labels(ours), redact.Labels(theirs)
	for _, t := range told {
		d.put(t[0], clip(theirs[t[1]], maxText))
	}
	say := &trail.Declared{Owner: clip(ours[labelOwner], maxText), Why: clip(ours[labelWhy], maxText), Intent: clip(ours[labelIntent], maxText)}
	if asked := ours[labelRetire]; asked != "" {
		if say.RetireAfter = retireAfter(asked, created); say.RetireAfter == "" {
			d.put("retire_after_unreadable", clip(asked, maxText))
		}
	}
	if *say == (trail.Declared{}) {
		return nil
	}
	say.Source = "labels"
	return say
}

var duration = regexp.MustCompile(`^([0-9]{1,6}) ?([hdw])$`)

// retireAfter reads a date, a time, or hours, days or weeks from then on; "" is what
// cannot be read. A date stays one: it counts to its end.
func retireAfter(asked string, from time.Time) string {
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
