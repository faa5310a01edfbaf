package collect

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// struckOut stands for what was left out of a text.
const struckOut = "***"

// soundsSecret are the words in the names of secrets.
const soundsSecret = `(?:passwo?r?d|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|signing[_-]?key|encryption[_-]?key|master[_-]?key|credential|_pass\b|_pwd\b|\bpwd\b|\bpass\b)`

// shape is a form that secrets have in commands. What its last group matches is
// struck out; of a shape with a name, the group before it is the name of what it is
// given to.
type shape struct {
	is      string // what it is; "" where the name says it
	hints   []string
	pattern func() *regexp.Regexp
}

func shapeOf(is string, hints []string, pattern string) shape {
	return shape{is, hints, sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })}
}

// value is one word of a shell that is no variable's.
const value = `("[^"$]+"|'[^']+'|[^\s"'$;&|<>()\\][^\s"';&|<>()\\]*)`

// hintsOfNames are parts of soundsSecret, for a look that is cheaper.
var hintsOfNames = []string{"pass", "pwd", "secret", "token", "key", "credential"}

// shapes are looked for in this order. The forms of tokens are those that their
// makers document, so that leaks of them can be found.
var shapes = []shape{
	shapeOf("a private key", []string{"-----begin"}, `(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----(.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|$)`),
	shapeOf("a token of GitHub", []string{"gh", "github_pat_"}, `\b(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})`),
	shapeOf("a token of GitLab", []string{"glpat-"}, `\b(glpat-[A-Za-z0-9_-]{20,})`),
	shapeOf("an access key of AWS", []string{"akia", "asia"}, `\b((?:AKIA|ASIA)[0-9A-Z]{16})\b`),
	shapeOf("a token of Slack", []string{"xox"}, `\b(xox[abeoprs]-[A-Za-z0-9-]{10,})`),
	shapeOf("a key of Google", []string{"aiza"}, `\b(AIza[A-Za-z0-9_-]{35})`),
	shapeOf("a token of npm", []string{"npm_"}, `\b(npm_[A-Za-z0-9]{36})\b`),
	shapeOf("a key of Stripe", []string{"_live_"}, `\b([rs]k_live_[A-Za-z0-9]{16,})`),
	shapeOf("a signed token", []string{"eyj"}, `\b(eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*)`),
	shapeOf("a password in a URL", []string{"://"}, `://[^\s/@:'"]*:([^\s/@'"$][^\s/@'"]*)@`),
	shapeOf("an Authorization header", []string{"authorization"}, `(?i)authorization:\s*(?:bearer|basic|token)\s+([^\s'"$][^\s'"]*)`),
	shapeOf("a password for a database", []string{"identified"}, `(?i)\bidentified\s+(?:with\s+\w+\s+)?by\s+['"]([^'"$][^'"]*)['"]`),
	shapeOf("a password for chpasswd", []string{"chpasswd"}, `(?:echo|printf)\s+(?:-\w+\s+)*['"]?[\w.-]+:([^\s'"$][^\s'"|]*)['"]?\s*\|\s*(?:sudo\s+)?chpasswd`),
	shapeOf("a password for curl", []string{"curl"}, `\bcurl\b[^;&|]*?\s(?:-u|--user)[\s=]*['"]?[^\s:'"]+:([^\s'"$][^\s'"]*)`),
	shapeOf("", hintsOfNames, `(?i)--?((?:[a-z][a-z0-9-]*)?`+strings.ReplaceAll(soundsSecret, `\b`, "")+`[a-z-]*)\s+`+value),
	shapeOf("", hintsOfNames, `(?i)([a-z0-9_.-]*`+soundsSecret+`[a-z0-9_]*)["']?\s*[=:]\s*`+value),
}

// withoutSecretsIn strikes out of labels what looks like a secret, by its form or by
// the label's name.
func withoutSecretsIn(labels map[string]string) map[string]string {
	out := make(map[string]string, len(labels))
	for name, value := range labels {
		before := name + "="
		text, _, _ := redacted(before + value)
		value, found := strings.CutPrefix(text, before)
		if !found { // the name itself looked like one
			value = struckOut
		}
		out[name] = value
	}
	return out
}

// redacted strikes out of a text what looks like the value of a secret. It gives
// the names of what such a value was given to, and what else looked like one.
func redacted(text string) (out string, names, found []string) {
	lower := strings.ToLower(text)
	for i := range shapes {
		s := &shapes[i]
		if !slices.ContainsFunc(s.hints, func(hint string) bool { return strings.Contains(lower, hint) }) {
			continue
		}
		var changed strings.Builder
		last := 0
		for _, at := range s.pattern().FindAllStringSubmatchIndex(text, -1) {
			from, to := at[len(at)-2], at[len(at)-1]
			if from < last || strings.Trim(text[from:to], `*"'`) == "" {
				continue
			}
			changed.WriteString(text[last:from])
			changed.WriteString(struckOut)
			last = to
			if s.is == "" {
				names = append(names, text[at[2]:at[3]])
			} else {
				found = append(found, s.is)
			}
		}
		if last > 0 {
			text = changed.String() + text[last:]
		}
	}
	return text, names, found
}
