// Package runline reads a docker run or docker create line as docker's command
// line client does, and makes of it the create request that the client would
// send: Parse takes arguments, ParseString a line as it is typed into a shell,
// and Line.Spec gives the container that would follow. World is all that the
// line can refer to outside itself: files, environment and working directory.
//
// The flags are those of the client from 20.10 to 29 together; a flag that only
// some versions have is read as in these. Where versions read one flag
// differently the newest counts, but for two that the newest took away:
// --kernel-memory, which older clients send to engines up to API 1.41, and the
// mount option bind-nonrecursive. The engine is taken to be one on Linux.
//
// Nothing is run, and no engine is asked. The client's own configuration is not
// read: the proxy variables that its config.json may add to the environment are
// not seen, and neither are the credentials that --use-api-socket hands over.
//
// The reference is https://docs.docker.com/reference/cli/docker/container/run/;
// a test holds the package to the create requests that real clients send.
package runline

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// World is what a run line can refer to. The zero value knows nothing; what
// then stays open is listed as unseen, but for relative paths, which are
// refused without a directory because no meaning is left to them.
type World struct {
	// Dir is the absolute directory that the line is run in: relative sources
	// of mounts and relative file names are below it.
	Dir string
	// ReadFile reads a file that the line names (--env-file, --label-file,
	// --security-opt seccomp=). Nil means that files are not looked at.
	ReadFile func(name string) ([]byte, error)
	// LookupEnv finds the value for -e NAME, and for a bare NAME in an
	// --env-file. Nil means that the environment is not known.
	LookupEnv func(name string) (string, bool)
}

// Line is a run line that was understood.
type Line struct {
	// Args are the arguments as they were given. They may hold secrets.
	Args []string
	// Body is the create request that the client would send; its Name is the
	// one that travels in the query.
	Body workload.CreateBody
	// Unseen is what the World could not tell, with paths below the Spec.
	Unseen []workload.Unseen
}

// Parse reads the arguments of docker run, docker create and their docker
// container forms. A leading "docker" is optional; docker's own options before
// the command are skipped, and so is what a shell line may have before docker:
// NAME=VALUE settings and sudo with its options. The error names the flag that was not
// understood and what to write instead.
func Parse(args []string, world World) (Line, error) {
	for i, a := range args {
		if !utf8.ValidString(a) || strings.ContainsRune(a, 0) {
			return Line{}, fmt.Errorf("argument %d of the run line is not valid UTF-8 text: %q", i+1, a)
		}
	}
	rest, world, err := skipLead(args, world)
	if err != nil {
		return Line{}, err
	}
	command, rest, err := findCommand(rest)
	if err != nil {
		return Line{}, err
	}
	d := &draft{world: world, command: command}
	f := newFlagSet()
	d.register(f)
	if err := parseFlags(f, rest, "docker "+command); err != nil {
		return Line{}, err
	}
	if f.NArg() == 0 {
		return Line{}, fmt.Errorf("docker %s names no image: put the image after the options, as in docker %s [OPTIONS] IMAGE [COMMAND]", command, command)
	}
	d.body.Image, d.body.Cmd = f.Arg(0), workload.Words(f.Args()[1:])
	if err := d.build(f); err != nil {
		return Line{}, fmt.Errorf("docker %s: %w", command, err)
	}
	return Line{Args: slices.Clone(args), Body: d.body, Unseen: d.unseen}, nil
}

// Spec is the container that the line asks for, in the surroundings given.
func (l Line) Spec(around workload.Surroundings) (workload.Spec, error) {
	s, err := workload.FromCreateBody(l.Body, around)
	if err != nil {
		return workload.Spec{}, fmt.Errorf("reading the run line: %w", err)
	}
	s.Origin = workload.OriginRun
	for _, u := range l.Unseen {
		if u.Path == "env_hashes"+workload.Open && around.EnvKey == nil {
			continue // without a key the whole field is unseen already
		}
		if !slices.ContainsFunc(s.Unseen, func(has workload.Unseen) bool { return has.Path == u.Path }) {
			s.Hide(u.Path, u.Reason)
		}
	}
	slices.SortStableFunc(s.Unseen, func(a, b workload.Unseen) int { return strings.Compare(a.Path, b.Path) })
	return s, nil
}

// findCommand skips "docker" and its global options and returns "run" or
// "create" with the arguments that belong to it.
func findCommand(args []string) (string, []string, error) {
	rest := args
	if len(rest) > 0 && path.Base(rest[0]) == "docker" {
		rest = rest[1:]
	}
	f := newFlagSet()
	registerGlobals(f)
	if err := parseFlags(f, rest, "docker"); err != nil {
		return "", nil, err
	}
	rest = f.Args()
	if len(rest) > 0 && rest[0] == "container" {
		rest = rest[1:]
	}
	if len(rest) == 0 {
		return "", nil, errors.New("no command: write the line as docker run [OPTIONS] IMAGE [COMMAND]")
	}
	if rest[0] != "run" && rest[0] != "create" {
		return "", nil, fmt.Errorf("%q is not a command that makes a container: begin the line with docker run or docker create", rest[0])
	}
	return rest[0], rest[1:], nil
}

// newFlagSet stops at the first argument that is no flag, as the client does:
// what follows the image belongs to the command inside.
func newFlagSet() *pflag.FlagSet {
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.SetInterspersed(false)
	f.SortFlags = false
	f.Usage = func() {}
	f.Bool("help", false, "")
	return f
}

// parseFlags parses and makes errors of what would not make a container.
func parseFlags(f *pflag.FlagSet, args []string, command string) error {
	err := f.Parse(args)
	var unknown *pflag.NotExistError
	switch {
	case errors.As(err, &unknown):
		return unknownFlag(f, unknown, command)
	case err != nil && !errors.Is(err, pflag.ErrHelp):
		return fmt.Errorf("%s: %w", command, err)
	}
	if help, _ := f.GetBool("help"); help || err != nil {
		return fmt.Errorf("%s --help makes no container: leave --help out", command)
	}
	return nil
}

func unknownFlag(f *pflag.FlagSet, unknown *pflag.NotExistError, command string) error {
	name := unknown.GetSpecifiedName()
	if unknown.GetSpecifiedShortnames() != "" {
		return fmt.Errorf("%s: unknown flag -%s: `%s --help` lists the flags", command, name, command)
	}
	var known []string
	f.VisitAll(func(flag *pflag.Flag) { known = append(known, flag.Name) })
	if near := strict.Nearest(name, known); near != "" {
		return fmt.Errorf("%s: unknown flag --%s: did you mean --%s?", command, name, near)
	}
	return fmt.Errorf("%s: unknown flag --%s: `%s --help` lists the flags", command, name, command)
}

// hide records what the World could not tell.
func (d *draft) hide(reason string, paths ...string) {
	for _, p := range paths {
		d.unseen = append(d.unseen, workload.Unseen{Path: p, Reason: reason})
	}
}

// absolute is a path of the client's machine below the working directory.
func (d *draft) absolute(p string) (string, error) {
	if path.IsAbs(p) {
		return p, nil
	}
	if d.world.Dir == "" {
		return "", fmt.Errorf("the path %s is relative and the directory that the line is run in is not known: write the whole path", strconv.Quote(p))
	}
	return path.Join(d.world.Dir, p), nil
}
