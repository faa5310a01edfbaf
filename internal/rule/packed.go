package rule

import (
	"io/fs"
	"maps"
	"slices"

	"github.com/plimsoll/plimsoll/rules"
)

// Pack gives, of a tree of our rules as [Load] takes it, what judging needs: to
// read the YAML takes ten times as long as all the rest. All of them compile.
func Pack(ours fs.FS) ([]rules.Rule, error) {
	s, err := Load(ours, nil, "")
	if err != nil {
		return nil, err
	}
	if err := s.Compile(); err != nil {
		return nil, err
	}
	packed := make([]rules.Rule, len(s.rules))
	for i, r := range s.rules {
		packed[i] = r.packed()
	}
	return packed, nil
}

func (r *Rule) packed() rules.Rule {
	p := rules.Rule{File: r.File, Name: r.Name, Subject: r.Subject, Roles: r.Roles, Severity: r.Severity, Title: r.Title, Why: r.Why,
		Let: packBindings(r.Let), When: r.When.Text, Each: r.Each.Text, Element: r.Element.Text, Pass: r.Pass.Text, Manual: r.Manual,
		Evidence: packBindings(r.Evidence), Message: r.Message, Remedy: r.Remedy}
	if fix := r.Fix.given(); fix != nil {
		p.Fix = *fix
	}
	for _, e := range r.code.evidence {
		for _, chain := range e.program.Paths() {
			if !slices.ContainsFunc(p.EvidenceReads, func(other []string) bool { return slices.Equal(other, chain) }) {
				p.EvidenceReads = append(p.EvidenceReads, chain)
			}
		}
	}
	for _, param := range r.Params {
		value := param.Value
		if table, ok := value.(map[string]string); ok {
			pairs := make([]rules.Pair, 0, len(table))
			for _, k := range slices.Sorted(maps.Keys(table)) {
				pairs = append(pairs, rules.Pair{Key: k, Value: table[k]})
			}
			value = pairs
		}
		p.Params = append(p.Params, rules.Param{Name: param.Name, Value: value})
	}
	for _, benchmark := range slices.Sorted(maps.Keys(r.Refs)) {
		p.Refs = append(p.Refs, rules.Ref{Benchmark: benchmark, IDs: r.Refs[benchmark]})
	}
	return p
}

func packBindings(list Bindings) []rules.Binding {
	var packed []rules.Binding
	for _, b := range list {
		packed = append(packed, rules.Binding{Name: b.Name, Text: b.Text})
	}
	return packed
}

// unpack is the rule to be judged by.
func unpack(p *rules.Rule) *Rule {
	text := func(t string) Expression { return Expression{Text: t} }
	r := &Rule{Schema: Schema, Name: p.Name, Subject: p.Subject, Roles: p.Roles, Severity: p.Severity, Title: p.Title, Why: p.Why,
		Let: unpackBindings(p.Let), When: text(p.When), Each: text(p.Each), Element: text(p.Element), Pass: text(p.Pass), Manual: p.Manual,
		Evidence: unpackBindings(p.Evidence), Message: p.Message, Remedy: p.Remedy, Fix: fixOf(p.Fix), File: p.File, Ours: true, evidenceReads: p.EvidenceReads}
	for _, param := range p.Params {
		value := param.Value
		if pairs, ok := value.([]rules.Pair); ok {
			table := make(map[string]string, len(pairs))
			for _, pair := range pairs {
				table[pair.Key] = pair.Value
			}
			value = table
		}
		r.Params = append(r.Params, Param{Name: param.Name, Value: value})
	}
	if len(p.Refs) > 0 {
		r.Refs = make(map[string][]string, len(p.Refs))
	}
	for _, ref := range p.Refs {
		r.Refs[ref.Benchmark] = ref.IDs
	}
	return r
}

func unpackBindings(packed []rules.Binding) Bindings {
	if packed == nil {
		return nil
	}
	list := make(Bindings, len(packed))
	for i, b := range packed {
		list[i] = Binding{b.Name, Expression{Text: b.Text}}
	}
	return list
}
