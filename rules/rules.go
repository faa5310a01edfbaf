// Package rules holds plimsoll's own rules, one YAML file each, in a folder
// named after the subject, and packed.go, which is made of them. It is
// knowledge, not code: package rule reads it.
package rules

import (
	"embed"

	"github.com/plimsoll/plimsoll/internal/finding"
)

//go:generate go run ./pack .

// Files are the rules.
//
//go:embed container contents daemon file host image network swarm
var Files embed.FS

// Rule is what judging needs of a rule: no tests, and nothing that a program
// has to read first.
type Rule struct {
	File, Name, Subject, Title, Why, Message, Manual string
	Roles                                            []string
	Severity                                         finding.Severity
	When, Each, Element, Pass                        string // expressions; "" for none
	Params                                           []Param
	Let, Evidence                                    []Binding
	// EvidenceReads are the facts that Evidence reads, as chains of names: it is
	// compiled only once something fails.
	EvidenceReads [][]string
	Remedy        finding.Remedy
	Fix           finding.Fix
	Refs          []Ref
}

// Param is a parameter with its default.
type Param struct {
	Name  string
	Value any // bool, int64, float64, string, []string, or []Pair for a table
}

// Pair is a line of a table.
type Pair struct{ Key, Value string }

// Binding is a name for an expression.
type Binding struct{ Name, Text string }

// Ref names the recommendations of one benchmark that a rule answers.
type Ref struct {
	Benchmark string
	IDs       []string
}
