package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/reach"
	"github.com/plimsoll/plimsoll/internal/rule"
	"github.com/plimsoll/plimsoll/internal/workload"
	"github.com/plimsoll/plimsoll/internal/workload/runline"
)

// checkCommand is plimsoll check.
func (a *app) checkCommand() *cobra.Command {
	var j judging
	c := &cobra.Command{
		Use:   "check -- docker run ...",
		Short: "Judge a run line before it runs",
		Long: `check judges the container that a docker run line would make, by the rules that
audit judges running containers by. Nothing runs and no engine is asked: what
the image or the engine's configuration decides is unknown, and says so. The
line may have sudo, and settings such as DOCKER_HOST=..., before docker.`,
		Example: `  plimsoll check -- docker run --privileged -it debian:13
  plimsoll check --fail-on medium -- docker run --memory 512m --read-only nginx
  plimsoll check -- sudo docker run -v /:/host debian:13`,
		RunE: func(c *cobra.Command, args []string) error {
			if c.ArgsLenAtDash() != 0 || len(args) == 0 {
				return &failure{code: exitUsage, message: "check judges a run line, given after --", hint: "For example\n  plimsoll check -- docker run nginx"}
			}
			if err := j.check(formats); err != nil {
				return err
			}
			return a.check(c.Context(), &j, args)
		},
	}
	j.flags(c)
	return c
}

func (a *app) check(ctx context.Context, j *judging, args []string) error {
	started := a.world.Now()
	if _, err := a.config(ctx); err != nil {
		return err
	}
	by, err := j.measure(ctx)
	if err != nil {
		return err
	}
	key, err := a.envKey(ctx)
	if err != nil {
		return err
	}
	read := func(name string) ([]byte, error) { return readFile(ctx, name, maxRunLineBytes) }
	line, err := runline.Parse(args, runline.World{Dir: a.world.Dir, ReadFile: read, LookupEnv: a.world.LookupEnv})
	if err != nil {
		return &failure{code: exitUsage, message: err.Error(), hint: "See  docker run --help"}
	}
	spec, err := line.Spec(workload.Surroundings{EnvKey: key})
	if err != nil {
		return err
	}
	f := &facts.Facts{Schema: facts.Schema, Collected: started.UTC(), Containers: []workload.Spec{spec}}
	for _, path := range []string{"host", "daemon", "files", "images", "networks", "volumes", "swarm"} {
		f.Unseen = append(f.Unseen, workload.Unseen{Path: path, Reason: "no engine was asked"})
	}
	if by.set, err = by.set.Select(rule.Selection{Subjects: []string{"container"}}); err != nil {
		return err
	}
	if len(by.set.Rules()) == 0 {
		return errNoRule
	}
	report, err := a.judge(by, f, j, 0, started)
	if err != nil {
		return err
	}
	if w := report.Waivers; w != nil {
		w.Stale = []finding.WaiverAt{} // the others are for other containers
	}
	if b := report.Baseline; b != nil {
		b.Gone = []finding.Past{} // so are other subjects' failures
	}
	a.tellWaivers(report.Waivers)
	report.Target.Name, report.Target.Containers = "docker run", 0
	a.tellBaseline(by.baseline, report)
	report.Reach = append(report.Reach, reach.Of(f)...)
	if err := a.write(ctx, report, j, "run"); err != nil {
		return err
	}
	return a.verdict(report, j)
}
