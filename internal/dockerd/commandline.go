package dockerd

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseCommandLine reads the words that a daemon was started with, the program
// first. file is where they were found, "" for the process itself. A daemon takes
// no words but flags and their values, so a flag that is not known is kept by its
// name and hides none that is. It is an error when the words are not a daemon's
// own: a flag without its value, a value that is no true or false.
func ParseCommandLine(words []string, file string) ([]Setting, error) {
	var all []Setting
	for i := 1; i < len(words); i++ {
		word := words[i]
		switch {
		case word == "--" || word == "-" || !strings.HasPrefix(word, "-"):
			return nil, fmt.Errorf("word %d of the daemon's command line, %.100q, is no flag", i+1, word)
		case !strings.HasPrefix(word, "--"):
			more, used, err := shorts(word, words[i+1:], file)
			if err != nil {
				return nil, err
			}
			all = append(all, more...)
			i += used
			continue
		}
		flag, value, inside := strings.Cut(word, "=")
		o := index().flags[flag]
		switch {
		case inside:
		case o != nil && o.Kind == Bool:
			value = "true"
		case i+1 < len(words) && (o != nil || !strings.HasPrefix(words[i+1], "-")):
			i++
			value = words[i]
		case o != nil:
			return nil, fmt.Errorf("the daemon's flag %s has no value", flag)
		}
		s, err := setting(o, flag, value, file)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// shorts reads a word of one-letter flags: -D, -H value, -Hvalue, -DH=value. Used
// is how many of the following words belong to it.
func shorts(word string, next []string, file string) (all []Setting, used int, err error) {
	for letters := word[1:]; letters != ""; {
		flag := "-" + letters[:1]
		letters = letters[1:]
		o := index().flags[flag]
		value := ""
		switch {
		case strings.HasPrefix(letters, "="):
			value, letters = letters[1:], ""
		case o == nil:
			return nil, 0, fmt.Errorf("the daemon's flag %s is not known", flag)
		case o.Kind == Bool:
			value = "true"
		case letters != "":
			value, letters = letters, ""
		case len(next) > 0:
			value, used = next[0], 1
		default:
			return nil, 0, fmt.Errorf("the daemon's flag %s has no value", flag)
		}
		s, err := setting(o, flag, value, file)
		if err != nil {
			return nil, 0, err
		}
		all = append(all, s)
	}
	return all, used, nil
}

// setting is one flag with its value.
func setting(o *Option, flag, value, file string) (Setting, error) {
	s := Setting{Name: strings.TrimLeft(flag, "-"), Values: []string{value}, Origin: Origin{File: file, Flag: flag}}
	if o == nil {
		return s, nil
	}
	s.Name = o.name()
	switch o.Kind {
	case Bool:
		yes, err := strconv.ParseBool(value)
		if err != nil {
			return s, fmt.Errorf("the daemon's flag %s is %.100q, not true or false", flag, value)
		}
		s.Values = []string{strconv.FormatBool(yes)}
	case Map:
		if name, limit, _ := strings.Cut(value, "="); o.Key == "default-ulimits" && !strings.Contains(limit, ":") {
			s.Values = []string{name + "=" + limit + ":" + limit} // one number is both limits
		}
	}
	return s, nil
}
