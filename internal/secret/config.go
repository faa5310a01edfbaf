package secret

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/redact"
)

// The rules about what is in a configuration and has no form of its own.
const (
	namedSecret   = "named-secret"   // by the name that a value is given to
	commandSecret = "command-secret" // by what a command does with it
)

// maxText is how many bytes of one text of a configuration are looked at: a command of a
// step has some KiB.
const maxText = 256 << 10

// Config looks for secrets in the configuration of an image: variables, labels, commands
// and history. A step that only gives a variable the value that it still has is not told
// of again.
func (d *Detector) Config(c *image.Config) Found {
	r := &configReader{d: d, count: map[string]int{}, values: map[string]bool{}}
	for n, e := range c.Config.Env {
		name, value, _ := strings.Cut(e, "=")
		r.assigned(fmt.Sprintf("env %d", n+1), "env "+name, name, value)
	}
	for n, name := range slices.Sorted(maps.Keys(c.Config.Labels)) {
		r.assigned(fmt.Sprintf("label %d", n+1), "label "+name, name, c.Config.Labels[name])
	}
	r.text("entrypoint", command(c.Config.Entrypoint), false)
	r.text("command", command(c.Config.Cmd), false)
	if h := c.Config.Healthcheck; h != nil {
		r.text("healthcheck", command(h.Test), false)
	}
	for n, trigger := range c.Config.OnBuild {
		r.text(fmt.Sprintf("trigger %d", n+1), trigger, false)
	}
	for n, h := range c.History {
		r.text(fmt.Sprintf("history step %d", n+1), h.CreatedBy, true)
		if h.Comment != "" {
			r.text(fmt.Sprintf("comment of history step %d", n+1), h.Comment, true)
		}
	}
	return r.found
}

// configReader gathers what the texts of one configuration hold.
type configReader struct {
	d      *Detector
	found  Found
	count  map[string]int
	values map[string]bool // that were told of
}

// assigned looks at a value and the name that it is given to. The place is called by the
// name, unless that tells of the value.
func (r *configReader) assigned(numbered, named, name, value string) {
	if len(name) > 200 || shares(named, value) || len(r.hits(name)) > 0 {
		named = numbered
	}
	name, value = r.cut(named, name), r.cut(named, value)
	before := len(r.found.Secrets)
	public := noSecret().MatchString(name)
	r.rules(named, name+"="+value, func(h hit) bool { return h.id == generic && public })
	switch {
	case len(r.found.Secrets) > before:
	case soundsSecret(name, value):
		r.tell(namedSecret, "the value of a name that sounds like a secret", named, value, false)
	default:
		// A value of an innocent name, such as a URL, may have a password in it.
		if _, _, found := redact.Text(value); len(found) > 0 && !placeholders(value) {
			r.tell(commandSecret, strings.Join(found, ", "), named, value, false)
		}
	}
}

// text looks at a command. known is true where a value that was told of needs no second
// telling.
func (r *configReader) text(where, text string, known bool) {
	text = r.cut(where, text)
	var told []string
	r.rules(where, text, func(h hit) bool {
		value := text[h.from:h.to]
		told = append(told, value)
		return known && r.values[value] || h.id == generic && noSecret().MatchString(nameBefore(text, h.from))
	})
	out, names, found := redact.Text(text)
	names = slices.DeleteFunc(names, noSecret().MatchString)
	if len(names)+len(found) == 0 {
		return
	}
	if values, whole := struck(text, out); whole {
		values = slices.DeleteFunc(values, func(v string) bool {
			bare := strings.Trim(v, "\"'")
			return isPlaceholder(v) || known && r.values[bare] || slices.ContainsFunc(told, func(t string) bool { return t == bare || shares(t[:min(len(t), 200)], bare) })
		})
		if len(values) == 0 {
			return
		}
	} else if len(told) > 0 {
		return
	}
	rule, what := commandSecret, found
	if len(found) == 0 {
		rule = namedSecret
	}
	for _, n := range names {
		what = append(what, "a value of "+n)
	}
	slices.Sort(what)
	r.tell(rule, strings.Join(slices.Compact(what), ", "), where, text, true)
}

// rules tells of what the rules find in a text, but for what skip takes out.
func (r *configReader) rules(where, text string, skip func(hit) bool) {
	for _, h := range r.hits(text) {
		if skip(h) {
			continue
		}
		value := text[h.from:h.to]
		r.tell(h.id, phrase(h.id), where, value, false)
		if h.low {
			r.found.Secrets[len(r.found.Secrets)-1].Likely = false
		}
	}
}

// hits are what the rules find in a text.
func (r *configReader) hits(text string) []hit {
	s := &scan{text: []byte(text), budget: r.d.o.Work, most: r.d.o.Secrets}
	s.run()
	if s.undone && r.found.Unread == "" {
		r.found.Unread = "too much in it looks like a secret"
	}
	return s.hits
}

// tell adds a secret. What it is said to be is left vague where that tells of the value,
// which may be somewhere in a text.
func (r *configReader) tell(rule, what, where, value string, text bool) {
	if !text {
		r.values[value] = true
		if shares(what, value) {
			what = "a secret"
		}
	}
	key := rule + "\x00" + where
	r.count[key]++
	r.found.Secrets = append(r.found.Secrets, Secret{Rule: rule, What: what, Where: where, Layer: -1, Likely: true, Fingerprint: fingerprint(rule, where, r.count[key])})
}

// guess is how many bytes of a value nothing else may have in it.
const guess = 6

// shares is true where a text has a part of a value that is as long as guess.
func shares(text, value string) bool {
	for i := 0; i+guess <= len(text); i++ {
		if strings.Contains(value, text[i:i+guess]) {
			return true
		}
	}
	return false
}

// placeholders is true where all that is struck out of a text is none.
func placeholders(text string) bool {
	out, _, _ := redact.Text(text)
	values, whole := struck(text, out)
	return whole && !slices.ContainsFunc(values, func(v string) bool { return !isPlaceholder(v) })
}

// struck are the parts of a text that are not in what is left of it; false is for a text
// that was given another form.
func struck(text, left string) (values []string, whole bool) {
	parts := strings.Split(left, redact.StruckOut)
	rest, ok := strings.CutPrefix(text, parts[0])
	for n, p := range parts[1:] {
		i := strings.Index(rest, p)
		if n == len(parts)-2 {
			i = len(rest) - len(p)
		}
		if !ok || i < 0 || !strings.HasPrefix(rest[i:], p) {
			return nil, false
		}
		values, rest = append(values, rest[:i]), rest[i+len(p):]
	}
	return values, ok
}

// nameBefore is the name that what is at a place in a text is given to, or a part of it.
func nameBefore(text string, at int) string {
	text = strings.TrimRight(text[:at], " \t=:\"'")
	return text[strings.LastIndexAny(text, " \t\n;&|\"'")+1:]
}

// cut is a text as far as it is looked at.
func (r *configReader) cut(where, text string) string {
	if len(text) <= maxText {
		return text
	}
	if r.found.Unread == "" {
		r.found.Unread = fmt.Sprintf("only the first %d of %d bytes of %s were read", maxText, len(text), where)
	}
	return text[:maxText]
}

// command is a list of words as a shell would take it.
func command(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		if strings.ContainsAny(w, " \t\n;&|<>()") && !strings.Contains(w, "'") {
			w = "'" + w + "'"
		}
		quoted[i] = w
	}
	return strings.Join(quoted, " ")
}
