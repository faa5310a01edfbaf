package cli

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"
)

// What looks into images needs libraries whose start alone takes longer than an audit of a
// small host. So there are two programs of this package: the whole one, and one built with the
// tag front, which has everything else and the whole one take its place for the rest.

// imagesProgram is the whole program's name where the front has the other one.
const imagesProgram = "plimsoll-images"

// What the commands of the whole program do, in a line.
const (
	imageShort    = "What is in an image: its packages, their known flaws, secrets"
	dbShort       = "The database of known flaws: import it, and see how old it is"
	registryShort = "What is in a registry: its tags, who signed them, what moved"
	trustShort    = "From whom images come: keys, bundles, mistakes, the way off content trust"
	serveShort    = "Record in the trail what happens on this host, until it is stopped"
)

// elsewhereNote marks commands that the whole program alone has.
const elsewhereNote = "elsewhere"

// errHere says that a command is one of this program.
var errHere = errors.New("here")

// elsewhere has the whole program take this one's place where a command is its, also one that
// help or completion is asked about; it then does not return. It is errHere for all others.
func (a *app) elsewhere(root *cobra.Command) error {
	args := a.world.Args
	if len(args) > 0 && (args[0] == "help" || args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd) {
		args = args[1:]
	}
	c, _, err := root.Find(args)
	if err != nil || c.Annotations[elsewhereNote] == "" {
		return errHere
	}
	return a.become(c)
}

// become has the whole program take this one's place. It is looked for where this one lies, and
// nowhere else: it runs with the caller's rights.
func (a *app) become(c *cobra.Command) error {
	own, err := filepath.EvalSymlinks(a.world.Executable)
	if a.world.Executable == "" || err != nil {
		return &failure{code: exitUnable, message: c.CommandPath() + " needs " + imagesProgram + ", and it can't be told where plimsoll itself lies", err: err}
	}
	for _, dir := range []string{".", "../lib/plimsoll"} {
		path := filepath.Join(filepath.Dir(own), dir, imagesProgram)
		err := a.world.Become(path, append([]string{imagesProgram}, a.world.Args...), a.world.Environ())
		if !errors.Is(err, fs.ErrNotExist) {
			return &failure{code: exitUnable, message: path + " can't be run", err: err}
		}
	}
	return &failure{code: exitUnable, message: c.CommandPath() + " needs " + imagesProgram + ", which is not beside " + own, hint: "Put it there: it comes with plimsoll, and make build makes both."}
}
