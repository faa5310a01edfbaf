package dockerd

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// UnitFile is a part of a systemd unit: the unit itself, or a drop-in.
type UnitFile struct {
	Name string
	Data []byte
}

// Unit is what systemd starts a service with, or the socket that it opens for one.
type Unit struct {
	// Words are those of ExecStart, the program first, before variables are put in.
	Words []string
	// Origin is the file that the words stand in.
	Origin string
	// EnvironmentFiles are the files to read variables from, in order; a dash in
	// front of one that need not be there is left out.
	EnvironmentFiles []string
	// Environment are the variables that the unit sets itself, as they are written.
	Environment map[string]string
	// Streams are what a socket's unit listens on: paths, ports and addresses.
	Streams []string
}

// maxWords bounds the words of one command line.
const maxWords = 4096

// ParseUnits reads a unit and its drop-ins, in the order in which systemd does
// (systemd.unit(5), systemd.service(5), systemd.socket(5)): of a [Service] section
// the last ExecStart counts, and an empty one forgets those before it, as for
// EnvironmentFile, Environment, and ListenStream of a [Socket]. It is an error when
// quotes are not closed, and when what counts has a specifier whose value is not
// known here.
func ParseUnits(files []UnitFile) (Unit, error) {
	u := Unit{Environment: map[string]string{}}
	for _, f := range files {
		section := ""
		for number, line := range unitLines(f.Data, true) {
			switch {
			case line == "":
				continue
			case line[0] == '[':
				section = line
				continue
			}
			key, value, found := strings.Cut(line, "=")
			if !found {
				continue
			}
			if err := u.set(section+strings.TrimSpace(key), strings.TrimSpace(value), f.Name); err != nil {
				return u, fmt.Errorf("%s line %d: %w", f.Name, number, err)
			}
		}
	}
	for _, list := range [][]string{u.Words, u.EnvironmentFiles, u.Streams} {
		for i := range list {
			var err error
			if list[i], err = specified(list[i]); err != nil {
				return u, fmt.Errorf("%s: %w", files[0].Name, err)
			}
		}
	}
	for i, name := range u.EnvironmentFiles {
		u.EnvironmentFiles[i] = path.Clean(name)
	}
	return u, nil
}

// specified puts in what specifiers stand for in the units of the system
// (systemd.unit(5), Specifiers).
func specified(text string) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "%")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		_, size := utf8.DecodeRuneInString(rest)
		switch letter := rest[:size]; letter {
		case "%":
			b.WriteByte('%')
		case "t":
			b.WriteString("/run")
		case "h":
			b.WriteString("/root")
		default:
			return "", fmt.Errorf("what %%%s stands for in %.100q is not known", letter, text)
		}
		text = rest[size:]
	}
}

// set takes one key, with its section before it.
func (u *Unit) set(key, value, file string) error {
	switch key {
	case "[Socket]ListenStream":
		if value == "" {
			u.Streams = nil
			return nil
		}
		u.Streams = append(u.Streams, value)
	case "[Service]ExecStart":
		if value == "" {
			u.Words, u.Origin = nil, ""
			return nil
		}
		words, err := splitWords(strings.TrimLeft(value, "-@:+!"))
		if err != nil {
			return err
		}
		u.Words, u.Origin = words, file
	case "[Service]EnvironmentFile":
		if value == "" {
			u.EnvironmentFiles = nil
			return nil
		}
		u.EnvironmentFiles = append(u.EnvironmentFiles, strings.TrimPrefix(value, "-"))
	case "[Service]Environment":
		if value == "" {
			u.Environment = map[string]string{}
			return nil
		}
		words, err := splitWords(value)
		if err != nil {
			return err
		}
		for _, word := range words {
			if name, text, found := strings.Cut(word, "="); found {
				u.Environment[name] = text
			}
		}
	}
	return nil
}

// Command puts variables into the words, those of the environment files, as their
// contents, before the unit's own: $NAME as a word of its own becomes the words of
// its value, ${NAME} in a word its text.
func (u Unit) Command(files map[string][]byte) ([]string, error) {
	vars := map[string]string{}
	for _, name := range u.EnvironmentFiles {
		if err := readEnvironment(files[name], vars); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(u.Environment)) {
		if _, before := vars[name]; before {
			continue // the files have the last word
		}
		value, err := specified(u.Environment[name])
		if err != nil && u.uses(name) {
			return nil, fmt.Errorf("the variable %s: %w", name, err)
		}
		vars[name] = value
	}
	var out []string
	for i, word := range u.Words {
		if name, alone := strings.CutPrefix(word, "$"); i > 0 && alone && isVariable(name) {
			words, err := splitWords(vars[name])
			if err != nil {
				return nil, fmt.Errorf("the variable %s: %w", name, err)
			}
			out = append(out, words...)
		} else {
			out = append(out, insert(word, vars))
		}
		if len(out) > maxWords {
			return nil, fmt.Errorf("the command has more than %d words", maxWords)
		}
	}
	return out, nil
}

// uses is true where the words have the variable in them.
func (u Unit) uses(name string) bool {
	return slices.ContainsFunc(u.Words, func(word string) bool { return word == "$"+name || strings.Contains(word, "${"+name+"}") })
}

func isVariable(name string) bool {
	for i, r := range name {
		if r != '_' && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}

// insert puts variables into a word where it has ${NAME}; $$ is a dollar.
func insert(word string, vars map[string]string) string {
	var b strings.Builder
	for word != "" {
		before, rest, found := strings.Cut(word, "$")
		b.WriteString(before)
		if !found {
			break
		}
		word = rest
		if after, dollar := strings.CutPrefix(rest, "$"); dollar {
			b.WriteByte('$')
			word = after
			continue
		}
		name, after, closed := strings.Cut(strings.TrimPrefix(rest, "{"), "}")
		if strings.HasPrefix(rest, "{") && closed && isVariable(name) {
			b.WriteString(vars[name])
			word = after
			continue
		}
		b.WriteByte('$')
	}
	return b.String()
}

// readEnvironment reads a file of NAME=VALUE lines (systemd.exec(5),
// EnvironmentFile=) into vars; values may be in quotes. It is an error when a comment
// that ends in a backslash is before a variable: systemd takes that for a part of the
// comment before its version 254, and not since.
func readEnvironment(data []byte, vars map[string]string) error {
	open := false
	for number, line := range unitLines(data, false) {
		if line != "" && isComment(line) {
			open = strings.HasSuffix(line, "\\")
			continue
		}
		if open && line != "" {
			return fmt.Errorf("line %d: the comment before it ends in a backslash, which versions of systemd read in two ways", number)
		}
		open = false
		name, value, found := strings.Cut(line, "=")
		if name = strings.TrimSpace(name); !found || !isVariable(name) {
			continue
		}
		value = strings.TrimSpace(value)
		if strings.ContainsAny(value, `"'`) {
			words, err := splitWords(value)
			if err != nil {
				return fmt.Errorf("line %d: %w", number, err)
			}
			value = strings.Join(words, " ")
		}
		vars[name] = value
	}
	return nil
}

// unitLines gives the lines of a file without space around them, by their numbers
// from 1. A line that ends in a backslash goes on in the next; in a unit, in the next
// that is no comment (systemd.syntax(7)), and it has no comments.
func unitLines(data []byte, unit bool) func(yield func(int, string) bool) {
	return func(yield func(int, string) bool) {
		number, from, held := 0, 0, ""
		for line := range strings.Lines(string(data)) {
			number++
			line = strings.TrimSpace(line)
			comment := line != "" && isComment(line) && (unit || from == 0)
			if comment && unit {
				continue
			}
			if from == 0 {
				from = number
			}
			if more, found := strings.CutSuffix(line, "\\"); found && !comment && len(held) < 1<<16 {
				held += more + " "
				continue
			}
			if !yield(from, strings.TrimSpace(held+line)) {
				return
			}
			from, held = 0, ""
		}
		if held != "" {
			yield(from, strings.TrimSpace(held))
		}
	}
}

func isComment(line string) bool { return line[0] == '#' || line[0] == ';' }

// splitWords splits as systemd does (systemd.syntax(7), Quoting): by space, with
// quotes of both kinds at the ends of words, and C's escapes.
func splitWords(text string) ([]string, error) {
	var words []string
	for text = strings.TrimLeft(text, " \t"); text != ""; text = strings.TrimLeft(text, " \t") {
		word, rest, err := firstWord(text)
		if err != nil {
			return nil, err
		}
		if words = append(words, word); len(words) > maxWords {
			return nil, fmt.Errorf("there are more than %d words", maxWords)
		}
		text = rest
	}
	return words, nil
}

func firstWord(text string) (word, rest string, err error) {
	var b strings.Builder
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quote == 0 && (c == ' ' || c == '\t'):
			return b.String(), text[i:], nil
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case c == quote && quote != 0:
			quote = 0
		case c == '\\' && i+1 < len(text):
			i++
			if at := strings.IndexByte(`abfnrtv\"'s`, text[i]); at >= 0 {
				b.WriteByte("\a\b\f\n\r\t\v\\\"' "[at])
			} else {
				b.WriteString(text[i-1 : i+1])
			}
		default:
			_, size := utf8.DecodeRuneInString(text[i:])
			b.WriteString(text[i : i+size])
			i += size - 1
		}
	}
	if quote != 0 {
		return "", "", fmt.Errorf("the quote %c is not closed", quote)
	}
	return b.String(), "", nil
}
