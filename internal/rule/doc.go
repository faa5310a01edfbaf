// Package rule loads rules, checks them, and judges facts by them.
//
// A rule is one YAML document ([Rule]): what it looks at, an expression in CEL
// (https://cel.dev, as far as package cel has it) that is true when all is well,
// why it matters, how to mend it, which recommendations it answers, and its own
// tests. [Load] reads rules and refuses those that could not be judged, with
// file, line and field; [Set] is what was loaded; [Set.Judge] makes findings of
// facts.
//
// What could not be observed is CEL's third value, unknown: a rule passes or
// fails when what was seen decides it, and is unknown, naming the fact, when
// what was not seen would. A runtime error is unknown as well. Nothing passes by
// accident.
//
// A rule of a user's has a budget for each subject: what costs more is unknown.
//
// The package does not run the tests inside rules: package ruletest does, which
// needs every adapter.
package rule
