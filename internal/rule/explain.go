package rule

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/plimsoll/plimsoll/internal/cel"
	"github.com/plimsoll/plimsoll/internal/finding"
)

// explain adds evidence, message and remedy to what fails or needs a person.
func (r *Rule) explain(s *scope, f *finding.Finding) {
	d := &finding.Detail{Message: f.Message}
	evidence := r.code.evidence
	if r.code.evidenceLater != nil {
		evidence = r.code.evidenceLater()
	}
	if len(evidence) > 0 {
		d.Evidence = make(map[string]any, len(evidence))
	}
	for _, e := range evidence {
		if v := e.eval(s); v.Kind() != cel.Unknown && v.Kind() != cel.Error {
			d.Evidence[e.name] = v.Native()
			if s.budget != nil && !s.budget.Spend(lengthOf(d.Evidence[e.name])) {
				return
			}
		}
	}
	d.Fix = r.fixBy(d.Evidence, s.budget)
	f.Detail = d
	r.tell(f, r.Remedy, s.budget, func(string) bool { return true })
}

// remedyNames are the fields of a remedy, and remedyTexts their texts in that
// order.
var remedyNames = [...]string{"run", "update", "compose", "dockerfile", "daemon", "shell"}

func remedyTexts(r *finding.Remedy) [len(remedyNames)]*string {
	return [...]*string{&r.Run, &r.Update, &r.Compose, &r.Dockerfile, &r.Daemon, &r.Shell}
}

// tellAgain is what is left of explain for a finding that was explained for
// another subject, with the same evidence: it writes what names the subject.
func (r *Rule) tellAgain(f *finding.Finding) {
	if r.code.namesSubject && (f.Status == finding.Fail || f.Status == finding.Manual) {
		d := *f.Detail
		f.Detail = &d
		r.tell(f, *d.Remedy, nil, namesSubject) // it was paid for the other
	}
}

// tell writes, of the message and the remedy, the texts that the caller wants,
// by the finding's evidence and subject, and has the rest of the remedy as in
// kept. The finding's detail is its own yet.
func (r *Rule) tell(f *finding.Finding, kept finding.Remedy, budget *cel.Budget, wanted func(text string) bool) {
	text := r.Message
	if r.Manual != "" {
		text = r.Manual
	}
	if text != "" && wanted(text) {
		f.Message = expand(text, f.Subject.Name, f.Evidence, budget)
	}
	// Evidence and names come from whoever deployed the container; a remedy is
	// copied to a shell.
	quoted := make(map[string]any, len(f.Evidence))
	for name, v := range f.Evidence {
		quoted[name] = quoteWords(v)
	}
	name := sentence(quoteWords(f.Subject.Name))
	to := remedyTexts(&kept)
	for i, text := range remedyTexts(&r.Remedy) {
		if wanted(*text) {
			*to[i] = expand(*text, name, quoted, budget)
		}
	}
	f.Remedy = &kept
}

// namesSubject is true when two subjects alike in all that the rule reads still
// get different words.
func namesSubject(text string) bool { return strings.Contains(text, "{subject}") }

func (r *Rule) namesSubject() bool {
	texts := remedyTexts(&r.Remedy)
	return namesSubject(r.Message) || namesSubject(r.Manual) || slices.ContainsFunc(texts[:], func(t *string) bool { return namesSubject(*t) })
}

// finding is a finding of the rule before anything is known.
func (r *Rule) finding(subject *finding.Subject) finding.Finding {
	return finding.Finding{About: r.code.about, Detail: r.code.plain, Subject: subject}
}

// section is the part of the report that a kind of subject belongs to.
func section(kind string) string {
	switch kind {
	case "host", "daemon", "swarm": // there is one
		return upperFirst(kind)
	}
	return upperFirst(strings.TrimSuffix(kind, "s")) + "s"
}

func upperFirst(word string) string { return strings.ToUpper(word[:1]) + word[1:] }

// lowerFirst makes a title into the end of a sentence. A first word that has
// capitals inside, or is one letter, is a name and stays.
func lowerFirst(title string) string {
	word, _, _ := strings.Cut(title, " ")
	first, size := utf8.DecodeRuneInString(word)
	if len(word) < 2 || strings.IndexFunc(word[size:], unicode.IsUpper) >= 0 {
		return title
	}
	return string(unicode.ToLower(first)) + title[size:]
}
