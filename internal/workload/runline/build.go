package runline

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/plimsoll/plimsoll/internal/workload"
)

// build joins the flags to the request, in the order in which each step may
// rely on the ones before. What the client refuses is refused here too: there
// would be no container to judge.
func (d *draft) build(f *pflag.FlagSet) error {
	steps := []func() error{
		d.image, d.streams, d.modes, d.environment, d.labelling, d.lifecycle, d.driverOptions, d.healthcheck,
		d.security, d.limits, d.deviceRequests, d.volumesAndBinds, d.socket, d.ports, d.endpoints,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	// These three are sent only when they were given, whatever their value.
	if f.Changed("entrypoint") {
		d.body.Entrypoint = workload.Words{d.entrypoint}
	}
	if f.Changed("stop-timeout") {
		seconds := int64(d.stopTimeout)
		d.body.StopTimeout = &seconds
	}
	if f.Changed("init") {
		d.body.HostConfig.Init = &d.init
	}
	return nil
}

// image demands a name that an engine could look up.
func (d *draft) image() error {
	if !slices.Contains([]string{"always", "missing", "never", ""}, d.pull) {
		return fmt.Errorf("--pull %q is none of always, missing and never", d.pull)
	}
	if err := checkImage(d.body.Image); err != nil {
		return fmt.Errorf("image %q: %w: the image is the first argument after the options", d.body.Image, err)
	}
	return nil
}

// streams says which of the process's streams the client holds.
func (d *draft) streams() error {
	c := &d.body.Config
	if d.detach {
		if len(d.attach) > 0 {
			return errors.New("--attach and --detach exclude each other: leave one out")
		}
		return nil
	}
	c.AttachStdin = c.OpenStdin || slices.Contains(d.attach, "stdin")
	c.AttachStdout = len(d.attach) == 0 || slices.Contains(d.attach, "stdout")
	c.AttachStderr = len(d.attach) == 0 || slices.Contains(d.attach, "stderr")
	c.StdinOnce = c.OpenStdin && c.AttachStdin
	return nil
}

func checkStream(v string) (string, error) {
	v = strings.ToLower(v)
	if v == "stdin" || v == "stdout" || v == "stderr" {
		return v, nil
	}
	return "", errors.New("a stream is stdin, stdout or stderr")
}

// modes checks the namespaces that the client checks; the engine checks --ipc.
func (d *draft) modes() error {
	h := &d.body.HostConfig
	for _, m := range []struct {
		flag, value string
		words       []string
	}{
		{"pid", h.PidMode, []string{"host"}},
		{"uts", h.UTSMode, []string{"host"}},
		{"userns", h.UsernsMode, []string{"host"}},
		{"cgroupns", h.CgroupnsMode, []string{"host", "private"}},
	} {
		of, joined := strings.CutPrefix(m.value, "container:")
		switch {
		case m.value == "" || slices.Contains(m.words, m.value):
		case m.flag == "pid" && joined && of != "":
		case m.flag == "pid":
			return fmt.Errorf("--pid %q is neither host nor container:NAME", m.value)
		default:
			return fmt.Errorf("--%s %q is not %s", m.flag, m.value, strings.Join(m.words, " or "))
		}
	}
	return nil
}

func (d *draft) lifecycle() error {
	h := &d.body.HostConfig
	var err error
	if h.RestartPolicy, err = parseRestart(d.restart); err != nil {
		return fmt.Errorf("--restart %q: %w", d.restart, err)
	}
	if h.AutoRemove && h.RestartPolicy.Name != "no" && h.RestartPolicy.Name != "" {
		return errors.New("--restart and --rm exclude each other: leave one out")
	}
	return nil
}

// driverOptions are those of the log and storage drivers.
func (d *draft) driverOptions() error {
	h := &d.body.HostConfig
	if h.LogConfig.Type == "none" && len(d.logOptions) > 0 {
		return errors.New("--log-driver none takes no --log-opt: leave one out")
	}
	h.LogConfig.Config = pairs(d.logOptions)
	h.StorageOpt = map[string]string{}
	for _, o := range d.storageOptions {
		name, value, found := strings.Cut(o, "=")
		if !found {
			return fmt.Errorf("--storage-opt %q is not NAME=VALUE", o)
		}
		h.StorageOpt[name] = value
	}
	return nil
}

func (d *draft) healthcheck() error {
	h := d.health
	for _, n := range []struct {
		flag  string
		value int64
	}{
		{"interval", int64(h.interval)}, {"timeout", int64(h.timeout)}, {"start-period", int64(h.startPeriod)},
		{"start-interval", int64(h.startInterval)}, {"retries", int64(d.healthTries)},
	} {
		if n.value < 0 {
			return fmt.Errorf("--health-%s is negative", n.flag)
		}
	}
	asked := h.command != "" || h.interval+h.timeout+h.startPeriod+h.startInterval != 0 || d.healthTries != 0
	switch {
	case d.noHealthcheck && asked:
		return errors.New("--no-healthcheck and the --health options exclude each other: leave one out")
	case d.noHealthcheck:
		d.body.Healthcheck = &workload.HealthConfig{Test: []string{"NONE"}}
	case asked:
		hc := &workload.HealthConfig{
			Interval: int64(h.interval), Timeout: int64(h.timeout), StartPeriod: int64(h.startPeriod),
			StartInterval: int64(h.startInterval), Retries: int64(d.healthTries),
		}
		if h.command != "" {
			hc.Test = []string{"CMD-SHELL", h.command}
		}
		d.body.Healthcheck = hc
	}
	return nil
}

func (d *draft) limits() error {
	h := &d.body.HostConfig
	if d.swappiness < -1 || d.swappiness > 100 {
		return fmt.Errorf("--memory-swappiness %d is not from 0 to 100", d.swappiness)
	}
	h.MemorySwappiness, h.PidsLimit, h.OomKillDisable = &d.swappiness, &d.pids, &d.oomKillDisable
	h.BlkioWeight, h.OomScoreAdj, h.IOMaximumBandwidth = int64(d.blkioWeight), int64(d.oomScoreAdj), uint64(d.maxBandwidth)
	h.Ulimits = d.sortedUlimits()
	return nil
}
