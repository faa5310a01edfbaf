package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// TestPackedIsFresh: packed.go is what go generate makes of gitleaks' file.
func TestPackedIsFresh(t *testing.T) {
	data, err := os.ReadFile("../gitleaks/gitleaks.toml")
	if err != nil {
		t.Fatal(err)
	}
	want, err := pack(data)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../packed.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("packed.go is not fresh: go generate ./internal/secret")
	}
}

// TestRefused: what a newer file may have, and nothing here acts on, is refused.
func TestRefused(t *testing.T) {
	const good = "[[rules]]\nid = \"a\"\nregex = 'b'\nkeywords = [\"B\"]\n"
	source, err := pack([]byte(good))
	if err != nil || !strings.Contains(string(source), `{id: "a", pattern: "b", path: "", keywords: []string{"b"}}`) {
		t.Errorf("%s: %v", source, err)
	}
	for text, want := range map[string]string{
		"":                                     "there are no rules",
		"[[rules]]\nid = \"a\"\nregex = 'b'\n": "a has no keywords",
		good + "skipReport = true\n":           "skipReport is not known",
		good + "[[rules.allowlists]]\ncondition = \"XOR\"\n": `a: an allowlist has the condition "XOR"`,
		good + "[[rules.allowlists]]\nregextarget = \"x\"\n": `and the target "x"`,
		"[[rules]": "toml:",
	} {
		if _, err := pack([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
