package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// unable is the exit code for "could not do it", as plimsoll's own.
const unable = 3

// Audit runs `argv audit --host ENGINE` for the engine that it finds, and
// returns that command's exit code. Where the machine has none it installs
// Debian's, starts one with the samples of Demo, audits that with `--fail-on
// never`, and takes everything away again, the packages included. It says
// first which of the two it will do.
func Audit(w World, argv []string) (int, error) {
	engines, err := findEngines(w.Environ, "")
	if err != nil {
		return unable, err
	}
	if len(engines) > 0 {
		fmt.Fprint(w.Stderr, foundPlan(engines))
		return w.interruptible(func(ctx context.Context) (int, error) {
			return w.command(ctx, slices.Concat(argv, []string{"audit", "--host", engines[0].Host}), w.Environ)
		})
	}
	if os.Geteuid() != 0 {
		return unable, errors.New("there is no Docker engine on this machine, and installing one for the moment needs root: " +
			"run this as root, or name an engine with DOCKER_HOST")
	}
	return w.interruptible(func(ctx context.Context) (int, error) {
		say := func(missing []string) { fmt.Fprint(w.Stderr, throwawayPlan(missing)) }
		return w.withPackages(ctx, Packages, unable, say, func() (int, error) {
			return w.withEngine(ctx, unable, func(e *Engine) (int, error) {
				if err := e.Demo(ctx); err != nil {
					return unable, err
				}
				return w.command(ctx, slices.Concat(argv, []string{"audit", "--fail-on", "never", "--host", e.Host()}), w.Environ)
			})
		})
	})
}

func foundPlan(engines []endpoint) string {
	text := fmt.Sprintf("This audits the Docker engine at %s (found by %s). Nothing is changed.\n", engines[0].Host, engines[0].From)
	if len(engines) > 1 {
		var others []string
		for _, e := range engines[1:] {
			others = append(others, e.Host)
		}
		text += fmt.Sprintf("There is also %s: set DOCKER_HOST to audit another one.\n", strings.Join(others, ", "))
	}
	return text
}

func throwawayPlan(missing []string) string {
	text := "There is no Docker engine on this machine, so this starts a throwaway one with eight sample containers,\n" +
		"audits it, and takes everything away again, also after Ctrl-C.\n"
	if len(missing) > 0 {
		text = fmt.Sprintf("There is no Docker engine on this machine, so this installs Debian's (%s),\n"+
			"starts a throwaway engine with eight sample containers, in namespaces of its own, and audits it.\n"+
			"Then everything is taken away again, the packages too, also after Ctrl-C.\n", strings.Join(missing, ", "))
	}
	return text
}
