// Package ruletest runs the tests that rules carry.
//
// The input of a test is written in one of the forms that a container comes in
// and goes through the form's own adapter, so that a test of a rule is also a
// test that the forms agree. [Run] judges every input and compares; it then
// replaces each part of the rule's condition by true and by false and demands
// that some test notices.
package ruletest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/rule"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/workload"
	"github.com/plimsoll/plimsoll/internal/workload/runline"
)

// Failure is a test that did not hold, or a part of a rule that no test covers.
type Failure struct {
	Rule string
	File string
	Line int // 0 for the rule as a whole
	Text string
}

func (f Failure) String() string {
	if f.Line == 0 {
		return fmt.Sprintf("%s: %s", f.File, f.Text)
	}
	return fmt.Sprintf("%s line %d: %s", f.File, f.Line, f.Text)
}

// Result counts what was run.
type Result struct {
	Rules, Tests, Parts int
	Failures            []Failure
}

// Run runs the tests of every rule of the set.
func Run(set *rule.Set) (Result, error) {
	if err := set.Compile(); err != nil {
		return Result{}, err
	}
	var total Result
	for _, r := range set.Rules() {
		total.Rules++
		one := runRule(r)
		total.Tests += one.Tests
		total.Parts += one.Parts
		total.Failures = append(total.Failures, one.Failures...)
	}
	return total, nil
}

// input is a test with its facts made.
type input struct {
	test  *rule.Test
	facts *facts.Facts
	got   outcome
}

func runRule(r *rule.Rule) Result {
	result := Result{Tests: len(r.Tests)}
	fail := func(line int, format string, args ...any) {
		result.Failures = append(result.Failures, Failure{Rule: r.Name, File: r.File, Line: line, Text: fmt.Sprintf(format, args...)})
	}
	var inputs []input
	seen := map[finding.Status]bool{}
	for i := range r.Tests {
		t := &r.Tests[i]
		f, err := testFacts(r, t)
		if err != nil {
			fail(t.Line, "%v", err)
			continue
		}
		got, err := judge(r, f)
		if err != nil {
			fail(t.Line, "%v", err)
			continue
		}
		if text := got.differs(t); text != "" {
			fail(t.Line, "%s", text)
		}
		seen[t.Want] = true
		inputs = append(inputs, input{t, f, got})
	}
	need := []finding.Status{finding.Pass, finding.Fail}
	if r.Manual != "" {
		need = []finding.Status{finding.Manual}
	}
	for _, want := range need {
		if !seen[want] {
			fail(0, "no test wants %s", want)
		}
	}
	mutants, err := r.Mutants()
	if err != nil {
		fail(0, "%v", err)
	}
	for _, m := range mutants {
		result.Parts++
		if !noticed(m, inputs) {
			fail(0, "no test notices when %s is replaced by %t", m.Part, m.By)
		}
	}
	return result
}

func noticed(m rule.Mutant, inputs []input) bool {
	for _, in := range inputs {
		got, err := judge(m.Rule, in.facts)
		if err != nil || !reflect.DeepEqual(got.statuses, in.got.statuses) {
			return true
		}
	}
	return false
}

// outcome is what judging came to.
type outcome struct {
	status   finding.Status
	statuses []finding.Status
	findings []finding.Finding
}

// gravest first: of several elements the first status that any has counts.
var gravest = []finding.Status{finding.Fail, finding.Unknown, finding.Manual, finding.Pass, finding.NotApplicable}

func judge(r *rule.Rule, f *facts.Facts) (outcome, error) {
	found, err := r.Only().Judge(f)
	if err != nil {
		return outcome{}, err
	}
	var o outcome
	for _, x := range found {
		if x.Subject.Kind != r.Subject {
			continue
		}
		o.findings = append(o.findings, x)
		o.statuses = append(o.statuses, x.Status)
	}
	for _, s := range gravest {
		if slices.Contains(o.statuses, s) {
			o.status = s
			break
		}
	}
	return o, nil
}

// differs says how the outcome is not what the test wants.
func (o outcome) differs(t *rule.Test) string {
	if o.status != t.Want {
		text := fmt.Sprintf("wants %s, is %s", t.Want, o.status)
		for _, f := range o.findings {
			if f.Status == o.status && f.Reason != "" {
				text += " (" + f.Reason + ")"
			}
		}
		return text
	}
	var messages, reasons []string
	for _, f := range o.findings {
		if f.Status == o.status {
			messages, reasons = append(messages, f.Message), append(reasons, f.Reason)
		}
	}
	if t.Message != "" && !slices.Contains(messages, t.Message) {
		return fmt.Sprintf("wants the message %q, has %q", t.Message, messages)
	}
	if t.Reason != "" && !slices.Contains(reasons, t.Reason) {
		return fmt.Sprintf("wants the reason %q, has %q", t.Reason, reasons)
	}
	return ""
}

// testFacts makes the facts that a test describes.
func testFacts(r *rule.Rule, t *rule.Test) (*facts.Facts, error) {
	f := &facts.Facts{Schema: facts.Schema, Collected: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Host: ordinaryHost(), Daemon: ordinaryDaemon(), Swarm: ordinarySwarm()}
	if !t.Now.IsZero() {
		f.Collected = t.Now.UTC()
	}
	var around workload.Surroundings
	for _, part := range []struct {
		name string
		node *yaml.Node
		into any
	}{{"host", &t.Host, &f.Host}, {"daemon", &t.Daemon, &f.Daemon}, {"swarm", &t.Swarm, &f.Swarm}} {
		switch {
		case part.name == r.Subject:
			if err := overlay("facts", &t.Facts, part.into); err != nil {
				return nil, err
			}
		case part.node.IsZero():
			f.Unseen = append(f.Unseen, workload.Unseen{Path: part.name, Reason: "the test does not give it"})
		default:
			if err := overlay(part.name, part.node, part.into); err != nil {
				return nil, err
			}
		}
	}
	if !t.Daemon.IsZero() {
		around.Daemon = f.Daemon.Defaults(f.Host.CgroupVersion)
	}
	if !t.Image.IsZero() {
		around.Image = ordinaryImage()
		if err := overlay("image", &t.Image, around.Image); err != nil {
			return nil, err
		}
	}
	switch r.Subject {
	case "container":
		spec, err := container(t, around)
		if err != nil {
			return nil, err
		}
		f.Containers = []workload.Spec{spec}
	case "file":
		f.Files = []facts.File{ordinaryFile()}
	case "image":
		f.Images = []facts.Image{ordinaryImageFacts()}
	case "network":
		f.Networks = []facts.Network{ordinaryNetwork()}
	case "contents":
		f.Contents = []facts.Contents{ordinaryContents()}
	}
	var own *[]workload.Unseen
	for _, of := range f.Listed() {
		if of.Kind != r.Subject {
			continue
		}
		own = of.At(0).Unseen
		if of.Kind != "container" {
			if err := overlay("facts", &t.Facts, of.At(0).Value); err != nil {
				return nil, err
			}
		}
	}
	for _, path := range t.Unseen {
		if below, found := strings.CutPrefix(path, r.Subject+"."); found && own != nil {
			*own = append(*own, workload.Unseen{Path: below, Reason: "the test hides it"})
			continue
		}
		f.Unseen = append(f.Unseen, workload.Unseen{Path: path, Reason: "the test hides it"})
	}
	return f, nil
}

func container(t *rule.Test, around workload.Surroundings) (workload.Spec, error) {
	given := 0
	for _, is := range []bool{t.Run != "", !t.Create.IsZero(), !t.Inspect.IsZero(), !t.Facts.IsZero()} {
		if is {
			given++
		}
	}
	if given != 1 {
		return workload.Spec{}, fmt.Errorf("a test has one of run, create, inspect and facts; this has %d", given)
	}
	switch {
	case t.Run != "":
		line, err := runline.ParseString(t.Run, runline.World{})
		if err != nil {
			return workload.Spec{}, err
		}
		return line.Spec(around)
	case !t.Create.IsZero():
		body, err := toJSON(&t.Create)
		if err != nil {
			return workload.Spec{}, err
		}
		return workload.FromCreate("app", body, around)
	case !t.Inspect.IsZero():
		body, err := answer(&t.Inspect)
		if err != nil {
			return workload.Spec{}, err
		}
		spec, _, err := workload.FromInspect(body, around)
		return spec, err
	}
	spec, err := workload.FromCreate("app", []byte(`{"Image":"app:1"}`), workload.Surroundings{
		Daemon: ordinaryDaemonDefaults(), Image: ordinaryImage(), Volumes: map[string]workload.Volume{}})
	if err != nil {
		return spec, err
	}
	spec.Unseen = nil
	return spec, overlay("facts", &t.Facts, &spec)
}

// overlay sets the fields that a test gives.
func overlay(name string, n *yaml.Node, into any) error {
	if n.IsZero() {
		return nil
	}
	body, err := toJSON(n)
	if err != nil {
		return err
	}
	unknown, err := strict.Decode(name, body, into)
	if err == nil && len(unknown) > 0 {
		err = fmt.Errorf("%s has no field %q", name, unknown[0])
	}
	return err
}

// answer is the whole answer of an engine of which a test gives a part: of the
// rest, nothing was asked.
func answer(n *yaml.Node) ([]byte, error) {
	var given, whole map[string]any
	if err := n.Decode(&given); err != nil {
		return nil, err
	}
	blank, err := json.Marshal(workload.InspectBody{})
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(blank, &whole); err != nil {
		return nil, err
	}
	putOver(whole, given)
	return json.Marshal(whole)
}

// putOver sets in whole what is given, part by part.
func putOver(whole, given map[string]any) {
	for key, value := range given {
		below, isPart := value.(map[string]any)
		if part, is := whole[key].(map[string]any); is && isPart {
			putOver(part, below)
			continue
		}
		whole[key] = value
	}
}

func toJSON(n *yaml.Node) ([]byte, error) {
	var v any
	if err := n.Decode(&v); err != nil {
		return nil, err
	}
	return json.Marshal(v)
}
