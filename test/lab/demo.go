package lab

import (
	"context"
	"fmt"
	"slices"
)

// sample is one container of the demonstration: its name, the image and the
// Dockerfile instructions the image gets, and what stands between `docker run
// -d --name NAME` and the image, and after it.
type sample struct {
	name    string
	image   string
	changes []string
	flags   []string
	command []string
}

// serve is a command that runs as a small web server, so that the samples have
// something to answer with.
var serve = []string{"httpd", "-f", "-p", "8080", "-h", "/www"}

// samples are a small shop as one finds them: one container done well, one
// done without a thought, and six with one grave fault each.
var samples = []sample{
	{
		name: "web", image: "shop/web:1.4.2",
		changes: []string{"USER 10001:10001", "EXPOSE 8080", `HEALTHCHECK --interval=5s --timeout=3s CMD wget -q -O /dev/null http://127.0.0.1:8080/ || exit 1`},
		flags: []string{
			"--network", "shop", "--publish", "127.0.0.1:8080:8080", "--user", "10001:10001", "--read-only", "--tmpfs", "/tmp:rw,noexec,nosuid,size=16m",
			"--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--memory", "128m", "--memory-swap", "128m",
			"--memory-reservation", "64m", "--cpus", "0.5", "--pids-limit", "64", "--restart", "on-failure:5", "--ulimit", "nofile=512:512",
			"--log-opt", "max-size=10m", "--log-opt", "max-file=3",
		},
		command: serve,
	},
	{name: "db", image: "shop/db:13.2", flags: []string{"--volume", "shop-data:/var/lib/db"}},
	{name: "report", image: "shop/report:2.0", flags: []string{"--volume", "shop-data:/data"}},
	{name: "builder", image: "shop/builder:7", flags: []string{"--privileged"}},
	{name: "deployer", image: "shop/deployer:3.1", flags: []string{"--volume", "/var/run/docker.sock:/var/run/docker.sock"}},
	{name: "monitor", image: "shop/monitor:0.9", flags: []string{"--pid", "host", "--network", "host"}},
	{name: "config", image: "shop/config:1.0", flags: []string{"--volume", "/etc:/host/etc"}},
	{name: "worker", image: "shop/worker", flags: []string{"--env", "DB_PASSWORD=not-a-real-password", "--env", "QUEUE=orders"}},
}

// Demo fills the engine with eight running containers, good and bad, and the
// images, the network and the volume that they use.
func (e *Engine) Demo(ctx context.Context) error {
	if _, err := e.docker(ctx, nil, "network", "create", "shop"); err != nil {
		return fmt.Errorf("making the samples' network: %w", err)
	}
	for _, s := range samples {
		if err := e.Busybox(ctx, s.image, s.changes...); err != nil {
			return err
		}
		args := slices.Concat([]string{"run", "--detach", "--name", s.name}, s.flags, []string{s.image}, s.command)
		if _, err := e.docker(ctx, nil, args...); err != nil {
			return fmt.Errorf("starting the sample %s: %w", s.name, err)
		}
	}
	return nil
}

// RunDemo starts an engine with the samples and runs argv with DOCKER_HOST set
// to it, or, without argv, says where it is and waits for a signal. The exit
// code is as Run's, and 0 when there was only a signal to wait for.
func RunDemo(w World, argv []string) (int, error) {
	waited := false
	code, err := w.interruptible(func(ctx context.Context) (int, error) {
		return w.withEngine(ctx, failed, func(e *Engine) (int, error) {
			if err := e.Demo(ctx); err != nil {
				return failed, err
			}
			if len(argv) > 0 {
				return w.command(ctx, argv, append(slices.Clone(w.Environ), "DOCKER_HOST="+e.Host()))
			}
			fmt.Fprintf(w.Stderr, "lab: an engine with eight sample containers runs until Ctrl-C; to reach it:\nexport DOCKER_HOST=%s\n", e.Host())
			<-ctx.Done()
			waited = true
			return 0, nil
		})
	})
	if waited && err == nil {
		return 0, nil
	}
	return code, err
}
