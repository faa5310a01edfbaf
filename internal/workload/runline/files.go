package runline

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/plimsoll/plimsoll/internal/workload"
)

// reasonEnvironment completes "not observed: env_values[...], …".
const reasonEnvironment = "the environment that the line is run in decides it"

// lookupEnv completes -e NAME from the environment. A variable that is not set
// there is sent without a value.
func (d *draft) lookupEnv(v string) (string, error) {
	name, _, hasValue := strings.Cut(v, "=")
	if name == "" {
		return "", errors.New("the variable has no name: write NAME or NAME=VALUE")
	}
	if hasValue {
		return v, nil
	}
	if value, found := d.fromEnvironment(name); found {
		return name + "=" + value, nil
	}
	return v, nil
}

// fromEnvironment looks a variable up, and records where nobody can tell.
func (d *draft) fromEnvironment(name string) (string, bool) {
	if d.world.LookupEnv == nil {
		d.hide(reasonEnvironment, "env_hashes"+workload.Open)
		if slices.Contains(workload.EnvValueNames, name) {
			d.hide(reasonEnvironment, "env_values"+workload.Open)
		}
		return "", false
	}
	return d.world.LookupEnv(name)
}

// environment has the files' variables first, so that -e overrides them.
func (d *draft) environment() error {
	fromFile := func(name string) (string, bool) {
		value, found := d.fromEnvironment(name)
		if d.world.LookupEnv == nil {
			// The client leaves an unset variable of a file out altogether.
			d.hide(reasonEnvironment, "env"+workload.Open)
		}
		return value, found
	}
	for _, name := range d.envFiles {
		variables, err := d.readPairs("--env-file", name, fromFile, "env", "env_empty", "env_values", "env_hashes")
		if err != nil {
			return err
		}
		d.body.Env = append(d.body.Env, variables...)
	}
	d.body.Env = append(d.body.Env, d.env...)
	return nil
}

// labelling has the files' labels first, so that -l overrides them.
func (d *draft) labelling() error {
	var fromFiles []string
	for _, name := range d.labelFiles {
		more, err := d.readPairs("--label-file", name, nil, "labels")
		if err != nil {
			return err
		}
		fromFiles = append(fromFiles, more...)
	}
	d.body.Labels = pairs(append(fromFiles, d.labels...))
	return nil
}

// readPairs reads a file of NAME=VALUE lines. Without a reader the lists that
// the file would add to are open.
func (d *draft) readPairs(flag, name string, lookup func(string) (string, bool), lists ...string) ([]string, error) {
	if d.world.ReadFile == nil {
		for _, l := range lists {
			d.hide(fmt.Sprintf("it is in the file %s, which was not read", name), l+workload.Open)
		}
		return nil, nil
	}
	data, err := d.readFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", flag, err)
	}
	lines, err := parsePairs(data, lookup)
	if err != nil {
		return nil, fmt.Errorf("reading %s %s: %w", flag, name, err)
	}
	return lines, nil
}

// parsePairs reads lines of NAME=VALUE. Blanks before a name, empty lines and
// those that begin with # are passed over; nothing else is taken away or has a
// meaning. A bare NAME is completed by lookup, and is left out if that is nil or
// finds nothing.
func parsePairs(data []byte, lookup func(string) (string, bool)) ([]string, error) {
	lines := []string{}
	scanner := bufio.NewScanner(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	for n := 1; scanner.Scan(); n++ {
		if !utf8.Valid(scanner.Bytes()) {
			return nil, fmt.Errorf("line %d is not valid UTF-8 text", n)
		}
		line := strings.TrimLeftFunc(scanner.Text(), unicode.IsSpace)
		if line == "" || line[0] == '#' {
			continue
		}
		name, _, hasValue := strings.Cut(line, "=")
		switch {
		case name == "":
			return nil, fmt.Errorf("line %d has no name before the equals sign", n)
		case strings.ContainsAny(name, " \t"):
			return nil, fmt.Errorf("line %d: the name %q holds a blank", n, name)
		case hasValue:
			lines = append(lines, line)
		case lookup != nil:
			if value, found := lookup(name); found {
				lines = append(lines, name+"="+value)
			}
		}
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("splitting into lines of at most 64 KiB: %w", err)
	}
	return lines, nil
}

func (d *draft) readFile(name string) ([]byte, error) {
	p, err := d.absolute(name)
	if err != nil {
		return nil, err
	}
	return d.world.ReadFile(p)
}

// security does what the client does with --security-opt: a seccomp profile is
// sent as the content of its file, and systempaths=unconfined as two empty
// lists. Without a reader the profile's name stays, which says as much: that
// the filter is not the engine's own.
func (d *draft) security() error {
	h := &d.body.HostConfig
	var kept []string
	for _, opt := range h.SecurityOpt {
		name, value, found := strings.Cut(opt, "=")
		if !found && name != "no-new-privileges" {
			name, value, found = strings.Cut(opt, ":")
		}
		switch {
		case name != "no-new-privileges" && (!found || value == ""):
			return fmt.Errorf("--security-opt %q is not NAME=VALUE", opt)
		case opt == "systempaths=unconfined":
			h.MaskedPaths, h.ReadonlyPaths = &[]string{}, &[]string{}
			continue
		case name == "seccomp" && value != "unconfined" && value != "builtin" && d.world.ReadFile != nil:
			data, err := d.readFile(value)
			if err != nil {
				return fmt.Errorf("reading the seccomp profile: %w", err)
			}
			var profile bytes.Buffer
			if err := json.Compact(&profile, data); err != nil {
				return fmt.Errorf("reading the seccomp profile %s as JSON: %w", value, err)
			}
			opt = "seccomp=" + profile.String()
		}
		kept = append(kept, opt)
	}
	h.SecurityOpt = kept
	return nil
}
