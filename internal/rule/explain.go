package rule

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"cel.dev/cel-go/common/types"

	"github.com/plimsoll/plimsoll/internal/finding"
)

// explain adds evidence, message and remedy to what fails or needs a person.
func (r *Rule) explain(s *scope, f *finding.Finding) {
	if len(r.code.evidence) > 0 {
		f.Evidence = make(map[string]any, len(r.code.evidence))
	}
	for _, e := range r.code.evidence {
		if v, err := e.eval(s); err == nil && !types.IsUnknown(v) {
			f.Evidence[e.name] = native(v)
		}
	}
	r.tell(f)
}

// tell writes message and remedy by the finding's evidence and subject.
func (r *Rule) tell(f *finding.Finding) {
	text := r.Message
	if r.Manual != "" {
		text = r.Manual
	}
	if text != "" {
		f.Message = expand(text, f.Subject.Name, f.Evidence)
	}
	// Evidence and names come from whoever deployed the container; a remedy is
	// copied to a shell.
	quoted := make(map[string]any, len(f.Evidence))
	for name, v := range f.Evidence {
		quoted[name] = quoteWords(v)
	}
	name := sentence(quoteWords(f.Subject.Name))
	fill := func(t string) string { return expand(t, name, quoted) }
	f.Remedy = &finding.Remedy{Run: fill(r.Remedy.Run), Update: fill(r.Remedy.Update), Compose: fill(r.Remedy.Compose),
		Dockerfile: fill(r.Remedy.Dockerfile), Daemon: fill(r.Remedy.Daemon), Shell: fill(r.Remedy.Shell)}
}

// namesSubject is true when what tell writes depends on the subject's name.
func (r *Rule) namesSubject() bool {
	for _, t := range []string{r.Message, r.Manual, r.Remedy.Run, r.Remedy.Update, r.Remedy.Compose, r.Remedy.Dockerfile, r.Remedy.Daemon, r.Remedy.Shell} {
		if strings.Contains(t, "{subject}") {
			return true
		}
	}
	return false
}

// finding is a finding of the rule before anything is known.
func (r *Rule) finding(subject finding.Subject) finding.Finding {
	return finding.Finding{About: r.code.about, Subject: subject, Message: r.code.state}
}

// section is the part of the report that a kind of subject belongs to.
func section(kind string) string {
	switch kind {
	case "container":
		return "Containers"
	case "daemon":
		return "Daemon"
	}
	return "Host"
}

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
