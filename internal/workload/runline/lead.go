package runline

import (
	"fmt"
	"path"
	"strings"
)

// skipLead returns args from docker on, and world as docker finds it there: a
// line is often copied with "sudo" and settings such as DOCKER_HOST=… before
// it. What sudo lets through of the environment, its own configuration says, so
// behind it nothing is known (sudo(8), sudoers(5): env_reset).
func skipLead(args []string, world World) ([]string, World, error) {
	args, world = skipSettings(args, world)
	if len(args) == 0 || path.Base(args[0]) != "sudo" {
		return args, world, nil
	}
	f := newFlagSet()
	for short, long := range map[string]string{
		"A": "askpass", "b": "background", "H": "set-home", "k": "reset-timestamp", "n": "non-interactive", "P": "preserve-groups", "S": "stdin",
	} {
		f.BoolP(long, short, false, "")
	}
	f.StringP("preserve-env", "E", "", "")
	f.Lookup("preserve-env").NoOptDefVal = "all"
	f.StringP("user", "u", "", "")
	f.StringP("group", "g", "", "")
	if err := parseFlags(f, args[1:], "sudo"); err != nil {
		return nil, world, fmt.Errorf("%w; or begin the line with docker run", err)
	}
	world.LookupEnv = nil
	args, world = skipSettings(f.Args(), world)
	return args, world, nil
}

// skipSettings skips NAME=VALUE words, which go before what the environment
// holds (POSIX.1-2024, Shell Command Language, 2.9.1).
func skipSettings(args []string, world World) ([]string, World) {
	settings := map[string]string{}
	for len(args) > 0 {
		name, value, ok := strings.Cut(args[0], "=")
		if !ok || !isName(name) {
			break
		}
		settings[name] = value
		args = args[1:]
	}
	if len(settings) == 0 || world.LookupEnv == nil {
		return args, world
	}
	outer := world.LookupEnv
	world.LookupEnv = func(name string) (string, bool) {
		if value, ok := settings[name]; ok {
			return value, true
		}
		return outer(name)
	}
	return args, world
}

// isName reports whether a shell takes text for the name of a variable.
func isName(text string) bool {
	for i, c := range []byte(text) {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return text != ""
}
