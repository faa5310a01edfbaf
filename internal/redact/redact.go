// Package redact strikes out of texts what looks like the value of a secret: of the
// commands that built an image, and of labels. Where it is in doubt, more of the
// text goes, never less.
package redact

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// StruckOut stands for what was left out of a text.
const StruckOut = "***"

// soundsSecret are the words in the names of secrets.
const soundsSecret = `(?:passwo?r?d|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|signing[_-]?key|encryption[_-]?key|master[_-]?key|credential|requirepass|masterauth|_auth\b|_pass\b|_pwd\b|\bpwd\b|\bpass\b)`

// shape is a form that secrets have in commands. What its last group matches is
// struck out; of a shape with a name, the group before it is the name of what it is
// given to.
type shape struct {
	is      string // what it is; "" where the name says it
	kind    kind
	hints   []string
	pattern func() *regexp.Regexp
}

// kind is how far what a shape finds goes.
type kind int

const (
	exact  kind = iota // as it was found
	word               // a word of a shell; within quotes, all to their end
	pair               // a word, of which what is behind its first colon
	option             // a word behind an option, unless the option says that there is none
	access             // a name in a URL, which is a secret where it is as long as one
)

func shapeOf(is string, k kind, hints []string, pattern string) shape {
	return shape{is, k, hints, sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })}
}

// value is one word of a shell, with the quotes in it.
const value = `((?:"(?:[^"\\]|\\.)*"|'[^']*'|\\.|[^\s"'\\;&|<>()])+)`

// hintsOfNames are parts of soundsSecret, for a look that is cheaper.
var hintsOfNames = []string{"pass", "pwd", "secret", "token", "key", "credential", "auth"}

// shapes are looked for in this order. The forms of tokens are those that their
// makers document, so that leaks of them can be found.
var shapes = []shape{
	shapeOf("a private key", exact, []string{"-----begin"}, `(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----(.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|$)`),
	shapeOf("a token of GitHub", exact, []string{"gh", "github_pat_"}, `\b(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})`),
	shapeOf("a token of GitLab", exact, []string{"glpat-"}, `\b(glpat-[A-Za-z0-9_-]{20,})`),
	shapeOf("an access key of AWS", exact, []string{"akia", "asia"}, `\b((?:AKIA|ASIA)[0-9A-Z]{16})\b`),
	shapeOf("a token of Slack", exact, []string{"xox"}, `\b(xox[abeoprs]-[A-Za-z0-9-]{10,})`),
	shapeOf("a key of Google", exact, []string{"aiza"}, `\b(AIza[A-Za-z0-9_-]{35})`),
	shapeOf("a token of npm", exact, []string{"npm_"}, `\b(npm_[A-Za-z0-9]{36})\b`),
	shapeOf("a key of Stripe", exact, []string{"_live_"}, `\b([rs]k_live_[A-Za-z0-9]{16,})`),
	shapeOf("a signed token", exact, []string{"eyj"}, `\b(eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*)`),
	shapeOf("a token in a URL", access, []string{"://"}, `(?i)\bhttps?://([^\s/@:'"]+)(?::(?:x-oauth-basic)?)?@`),
	shapeOf("a password in a URL", exact, []string{"://"}, `://[^\s/@:'"]*:([^\s/@'"]+)@`),
	shapeOf("an Authorization header", word, []string{"authorization"}, `(?i)authorization["']?\s*[:=]\s*(?:(?:bearer|basic|token|digest|negotiate|apikey)\s+)?`+value),
	shapeOf("a password for a database", exact, []string{"identified"}, `(?i)\bidentified\s+(?:with\s+\w+\s+)?by\s+['"]([^'"]+)['"]`),
	shapeOf("a password for chpasswd", exact, []string{"chpasswd"}, `(?:echo|printf)\s+(?:-\w+\s+)*['"]?[\w.-]+:([^|\n]*?)['"]?\s*\|\s*(?:sudo\s+)?(?:/\S*/)?chpasswd`),
	shapeOf("a password for curl", pair, []string{"curl"}, `\bcurl\b[^;&|]*?\s(?:-u\s*|--user[\s=]+|-U\s*|--proxy-user[\s=]+)`+value),
	shapeOf("a password for a database", word, []string{"mysql", "mariadb"}, `\b(?:mysql|mariadb)[\w-]*\b[^;&|]*?\s-p`+value),
	shapeOf("a password for Redis", word, []string{"redis-cli"}, `\bredis-cli\b[^;&|]*?\s-a\s*`+value),
	shapeOf("a password for ssh", word, []string{"sshpass"}, `\bsshpass\s+(?:-[a-zA-Z]+\s+)*?-p\s*`+value),
	shapeOf("a password for a registry", word, []string{"login"}, `\b(?:docker|podman|buildah|skopeo|nerdctl|helm|oras|crane|az)\b[^;&|]*?\blogin\b[^;&|]*?\s-p\s*`+value),
	shapeOf("a password for a machine", word, []string{"password"}, `\blogin\s+\S+\s+password\s+`+value),
	shapeOf("a credential for a registry", word, []string{"auth"}, `["'](?:auth|identitytoken|registrytoken)\\?["']\s*:\s*\\?`+value),
	shapeOf("a credential of npm", word, []string{"_auth"}, `(?:^|[^\w])_auth\s*=\s*`+value),
	shapeOf("", option, hintsOfNames, `(?i)(?:^|[\s"'\[(,])--?((?:[a-z][a-z0-9_-]*)?`+strings.ReplaceAll(soundsSecret, `\b`, "")+`[a-z_-]*)(?:\s+|=)`+value),
	shapeOf("", word, hintsOfNames, `(?i)([a-z0-9_.-]*`+soundsSecret+`[a-z0-9_]*)\\?["']?(?:=|\s+=\s*|\s*:\s*)\\?`+value),
	// What a build is given has a name of anybody's choice.
	shapeOf("", word, []string{"--build-arg"}, `--build-arg[\s=]+["']?([A-Za-z_]\w*)=`+value),
}

// none are words in a name that say that it has no secret for a value, but tells
// something about one.
var none = []string{"disabled", "disable", "no", "without", "file", "files", "filename", "stdin", "prompt", "ask", "askpass", "empty", "path", "dir", "ttl",
	"length", "expires", "expiry", "policy", "never", "fd", "env"}

// isNone is true for the name of what is no secret.
func isNone(name string) bool {
	parts := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return r == '-' || r == '_' || r == '.' })
	return slices.ContainsFunc(parts, func(part string) bool { return slices.Contains(none, part) })
}

var (
	// secretName is a name as a whole.
	secretName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)` + soundsSecret + `[a-z0-9_]*$`) })
	// onlyVariables is a word whose value is elsewhere.
	onlyVariables = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(?:(?:\$\w+|\$\{\w+\}|\$\$?)[:/@,.-]?)+$|^\$\(.*\)$|^` + "`.*`?$|^%\\w+%$")
	})
)

// Labels strikes out of labels what looks like a secret, by its form or by the
// label's name. It is never nil.
func Labels(labels map[string]string) map[string]string {
	out := make(map[string]string, len(labels))
	for name, value := range labels {
		before := name + "="
		text, _, _ := Text(before + value)
		shown, found := strings.CutPrefix(text, before)
		if value != "" && (!found || secretName().MatchString(name)) {
			shown = StruckOut // the name itself looked like one, or is one's
		}
		out[name] = shown
	}
	return out
}

// Text strikes out of a text what looks like the value of a secret. It gives the
// names of what such a value was given to, and what else looked like one. A list of
// words as JSON has it, in which something was struck out, is given back as a
// shell's command.
func Text(text string) (out string, names, found []string) {
	if strings.HasPrefix(text, "[") {
		var list []string
		if json.Unmarshal([]byte(text), &list) == nil {
			for i, w := range list {
				if w == "" || strings.ContainsAny(w, " \t\n\"'\\;&|<>()") {
					list[i] = "'" + strings.ReplaceAll(w, "'", `'"'"'`) + "'"
				}
			}
			whole, names, found := Text(strings.Join(list, " "))
			if len(names)+len(found) == 0 && !strings.Contains(whole, StruckOut) {
				whole = text
			}
			return whole, names, found
		}
	}
	lower := strings.ToLower(text)
	for i := range shapes {
		s := &shapes[i]
		if !slices.ContainsFunc(s.hints, func(hint string) bool { return strings.Contains(lower, hint) }) {
			continue
		}
		text = s.strike(text, func(name, value string) {
			switch {
			case s.kind == option && !isPath(name, value):
				found = append(found, "a value of --"+name)
			case s.kind == access && len(value) < 16, s.kind == option, s.is == "" && isNone(name):
			case s.is == "":
				names = append(names, name)
			default:
				found = append(found, s.is)
			}
		})
	}
	return text, names, found
}

// isPath is true for the path of a key's file.
func isPath(name, value string) bool {
	return strings.Contains(strings.ToLower(name), "key") && strings.HasPrefix(strings.Trim(value, `"'`), "/")
}

// strike strikes out all that a shape finds, and tells of each.
func (s *shape) strike(text string, tell func(name, value string)) string {
	var changed strings.Builder
	last := 0
	for _, at := range s.pattern().FindAllStringSubmatchIndex(text, -1) {
		from, to := at[len(at)-2], at[len(at)-1]
		if from < last {
			continue
		}
		found, name := text[from:to], ""
		if s.is == "" {
			name = text[at[2]:at[3]]
		}
		bare := strings.Trim(found, `"'\`)
		switch {
		case strings.Trim(bare, `*`) == "", onlyVariables().MatchString(bare):
			continue
		case s.kind == option && (isNone(name) || bare[0] == '-' || strings.HasPrefix(bare, "id=") || strings.HasPrefix(bare, "type=")):
			continue // no value, or that of an option of a builder
		case s.kind == pair:
			_, secret, both := strings.Cut(bare, ":")
			if !both || secret == "" || onlyVariables().MatchString(secret) || isNumber(bare) {
				continue
			}
			from += strings.Index(found, ":") + 1
			if strings.HasSuffix(found, found[:1]) && strings.Contains(`"'`, found[:1]) {
				to--
			}
		}
		if s.kind == word || s.kind == option || s.kind == pair {
			to = endOfQuotes(text, at[len(at)-2], to)
		}
		changed.WriteString(text[last:from])
		changed.WriteString(StruckOut)
		last = to
		tell(name, bare)
	}
	return changed.String() + text[last:]
}

// isNumber is true for what is of numbers, as a user and a group are.
func isNumber(text string) bool { return strings.Trim(text, "0123456789:") == "" }

// endOfQuotes is to, or the end of the quotes that were open where a word begins, or
// of the line where they have none.
func endOfQuotes(text string, from, to int) int {
	var open byte
	for i := strings.LastIndexByte(text[:from], '\n') + 1; i < from; i++ {
		switch c := text[i]; {
		case c == '\\' && open != '\'':
			i++
		case open == 0 && (c == '"' || c == '\''):
			open = c
		case c == open:
			open = 0
		}
	}
	if open == 0 {
		return to
	}
	if end := strings.IndexAny(text[to:], string(open)+"\n"); end >= 0 {
		return to + end
	}
	return len(text)
}
