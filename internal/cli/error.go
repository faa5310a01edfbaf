package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/term"
)

// report prints an error, and gives the exit code. It is the only place that
// does either.
func (a *app) report(err error) int {
	if err == nil {
		return 0
	}
	if errors.Is(err, errFindings) {
		return exitFindings
	}
	code, message, hint, cause := exitUsage, err.Error(), "", ""
	var f *failure
	var e *engine.Error
	var s *strict.Error
	switch {
	case errors.As(err, &e):
		code, message, hint = exitUnable, e.Message, e.Hint()
		if e.Err != nil {
			cause = e.Err.Error()
		}
		if errors.As(err, &f) {
			code = f.code
		}
	case errors.As(err, &s):
		message, hint = s.Error(), s.Excerpt()
		if hint == "" {
			hint = s.Hint
		}
		if errors.As(err, &f) { // as of an engine's answer, which no user wrote
			code = f.code
		}
	case errors.As(err, &f):
		code, message, hint = f.code, f.message, f.hint
		if f.err != nil {
			cause = f.err.Error()
		}
	}
	a.say(message, hint, cause)
	return code
}

// say writes an error: what happened, what to do, the system's own words.
func (a *app) say(message, hint, cause string) {
	p := a.stderr
	text := p.Paint(term.Faint, "plimsoll:") + " " + p.Paint(term.Bold, p.Escape(message)) + "\n"
	if hint != "" {
		text += "\n"
		for _, line := range strings.Split(strings.TrimRight(hint, "\n"), "\n") {
			text += "  " + p.Escape(line) + "\n"
		}
	}
	if cause != "" {
		text += "\n  " + p.Paint(term.Faint, p.Escape(cause)) + "\n"
	}
	fmt.Fprint(p, text)
}

// note writes a line to standard error, unless --quiet.
func (a *app) note(text string) {
	if !a.quiet {
		fmt.Fprintln(a.stderr, a.stderr.Paint(term.Faint, a.stderr.Escape(text)))
	}
}
