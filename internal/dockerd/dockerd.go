// Package dockerd reads how a Docker daemon is configured, and where each value
// comes from.
//
// In order of use: [ParseFile] reads a daemon.json, [ParseCommandLine] the words
// that the daemon was started with, [ParseUnits] the systemd units that start it,
// for where nobody may see its command line, and [Merge] makes one [Config] of
// them, which knows every option of [Options] with its [Origin].
//
// What an option means, which is its default, and how files and flags are put
// together is as in moby's cmd/dockerd/config.go and daemon/config/config.go. The
// package does no I/O, and judges nothing.
package dockerd

import (
	"fmt"
	"slices"
	"strings"
)

// Kind says how the values of an option are written.
type Kind uint8

// The kinds.
const (
	Text   Kind = iota // one value
	Bool               // true or false
	List               // values in the order in which they are given
	Map                // values as key=value, sorted
	Object             // anything else in JSON, which no flag gives
)

// Option is one thing that can be set.
type Option struct {
	// Key is its name in daemon.json; "" for what only a flag sets.
	Key string
	// Flag is its long name on the command line, Short the one letter that does
	// too; "" for what only the file sets.
	Flag, Short string
	Kind        Kind
	// Default are its values where nothing sets it.
	Default []string
}

// name is what the option is called here: by its key, or by its flag.
func (o *Option) name() string {
	if o.Key != "" {
		return o.Key
	}
	return o.Flag
}

// Setting is one option as one source sets it.
type Setting struct {
	// Name is the key of the option in daemon.json, or its flag where it has none.
	Name   string
	Values []string
	Origin Origin
}

// Origin is where a value comes from.
type Origin struct {
	// File is the file that sets it, "" for the command line of the process, and
	// for a default.
	File string
	// Flag is the flag as it was written, or "" for a key of daemon.json.
	Flag string
}

// String completes "set by": the origin in words that a person can look for.
func (o Origin) String() string {
	switch {
	case o.Flag != "" && o.File != "":
		return o.Flag + " in " + o.File
	case o.Flag != "":
		return o.Flag + " on the command line"
	case o.File != "":
		return o.File
	}
	return "default"
}

// Config is the configuration as the daemon makes it of its sources.
type Config struct {
	settings map[string]Setting
	// Conflicts are the options that the file and flags both set, by which a daemon
	// does not start: the file has changed since this one did.
	Conflicts []string
	// Unknown are the keys of the file that no daemon knows, with which a daemon
	// does not start either.
	Unknown []string
}

// Merge puts sources together, those of flags before that of the file: what both
// set is a conflict, and the flags were there when the daemon started. A list that
// is set by several flags is longer; of plain values the last counts.
func Merge(flags []Setting, file []Setting) *Config {
	c := &Config{settings: map[string]Setting{}}
	for _, s := range flags {
		before, set := c.settings[s.Name]
		if o := byName(s.Name); set && o != nil && o.Kind != Text && o.Kind != Bool {
			s.Values = append(slices.Clone(before.Values), s.Values...)
			s.Origin = before.Origin
		}
		c.settings[s.Name] = s
	}
	for _, s := range file {
		if o := byName(s.Name); o == nil || o.Key == "" {
			c.Unknown = append(c.Unknown, s.Name)
			continue
		}
		if _, set := c.settings[s.Name]; set {
			c.Conflicts = append(c.Conflicts, s.Name)
			continue
		}
		c.settings[s.Name] = s
	}
	for name, s := range c.settings {
		if o := byName(name); o != nil && o.Kind == Map {
			s.Values = lastOfEach(s.Values)
			c.settings[name] = s
		}
	}
	slices.Sort(c.Conflicts)
	slices.Sort(c.Unknown)
	return c
}

// lastOfEach sorts key=value, and keeps the last of those with one key.
func lastOfEach(pairs []string) []string {
	last := map[string]string{}
	for _, pair := range pairs {
		key, _, _ := strings.Cut(pair, "=")
		last[key] = pair
	}
	out := make([]string, 0, len(last))
	for _, pair := range last {
		out = append(out, pair)
	}
	slices.Sort(out)
	return out
}

// Get gives an option by its name. One that nothing sets has its default.
func (c *Config) Get(name string) Setting {
	if s, set := c.settings[name]; set {
		return s
	}
	o := byName(name)
	if o == nil {
		panic(fmt.Sprintf("dockerd: there is no option %q", name))
	}
	return Setting{Name: name, Values: o.Default}
}

// IsSet reports whether a source sets an option.
func (c *Config) IsSet(name string) bool {
	_, set := c.settings[name]
	return set
}

// Text is the value of an option that has one, or "".
func (c *Config) Text(name string) string {
	values := c.Get(name).Values
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// Bool is the value of an option that is true or false.
func (c *Config) Bool(name string) bool { return c.Text(name) == "true" }

// List are the values of an option, at least an empty list.
func (c *Config) List(name string) []string { return append([]string{}, c.Get(name).Values...) }

// Map are the values of an option by their keys.
func (c *Config) Map(name string) map[string]string {
	out := map[string]string{}
	for _, pair := range c.Get(name).Values {
		key, value, _ := strings.Cut(pair, "=")
		out[key] = value
	}
	return out
}
