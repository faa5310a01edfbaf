package rule

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestFillIn: names in braces are replaced, and nothing else is touched.
func TestFillIn(t *testing.T) {
	placeholder, identifier := regexp.MustCompile(`\{([^{}]*)\}`), regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	value := func(name string) string { return "<" + name + "{x}>" }
	for text, want := range map[string]string{
		"add {memory} to {a1_}": "add <memory{x}> to <a1_{x}>",
		"{a{b}c}{":              "{a<b{x}>c}{",
		"{}{A}{1a}{a-b}{ä}}":    "{}{A}{1a}{a-b}{ä}}",
	} {
		if got := fillIn(text, value); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
	quoted := func(string) string { return "'b *'" }
	for text, want := range map[string]string{"--rule '{x}' and": "--rule 'b *' and", "--rule {x}": "--rule 'b *'", "'{x} {x}'": "''b *' 'b *''"} {
		if got := fillIn(text, quoted); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{"{", "}", "a", "name", "_", "7", "B", " ", "é"})).Draw(t, "text"), "")
		want := placeholder.ReplaceAllStringFunc(text, func(m string) string {
			if name := m[1 : len(m)-1]; identifier.MatchString(name) {
				return value(name)
			}
			return m
		})
		if got := fillIn(text, value); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	})
}

// TestUnsafeWords: what a shell takes as it stands is not quoted.
func TestUnsafeWords(t *testing.T) {
	for text, unsafe := range map[string]bool{
		"web": false, "docker.io/library/nginx:1@sha256:ab": false, "a b": false, "/run/docker.sock": false, "": false, "é": false,
		"/a b": true, "a'b": true, `a"b`: true, "a\nb": true, "a\x7f": true, "$x": true, "`x`": true, "a;b": true, `a\b`: true, "a*": true, "~": true, "#a": true, "a&b|c": true, "a<b>": true, "a(b)": true, "{a}": true, "a?": true, "a!": true,
	} {
		if got := isUnsafeWord(text); got != unsafe {
			t.Errorf("%q is unsafe: %t", text, got)
		}
	}
}
