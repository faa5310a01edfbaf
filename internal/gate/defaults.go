package gate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/gate/api"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// defaults are what a new container gets where its maker said nothing about it. What is
// absent is left to the engine.
type defaults struct {
	NoNewPrivileges bool `yaml:"no_new_privileges"`
	// Capabilities are those that are kept; all others are dropped. An empty list keeps none.
	Capabilities []string `yaml:"capabilities"`
	// PIDs is the most processes and threads, Memory a size such as 512m, CPUs processors.
	PIDs   int64   `yaml:"pids"`
	Memory string  `yaml:"memory"`
	CPUs   float64 `yaml:"cpus"`
	// Log are options of the log drivers json-file and local; others have their own.
	Log     defaultLog      `yaml:"log"`
	Runtime *defaultRuntime `yaml:"runtime"`

	memory int64 // Memory in bytes
}

// defaultLog bounds a container's log, by the options of that name.
type defaultLog struct {
	MaxSize string `yaml:"max-size"`
	MaxFile int64  `yaml:"max-file"`
}

// defaultRuntime is the runtime of containers of images that are not trusted: no pattern of
// Trusted fits their name, or they did not come from there.
type defaultRuntime struct {
	Name    string   `yaml:"name"`
	Trusted []string `yaml:"trusted"`
}

// filling is what is put into the body of a request, and the option that would say it.
type filling struct {
	option string
	at     []string // the keys that lead there
	value  any
}

var (
	size = regexp.MustCompile(`^([1-9][0-9]{0,9})([bkmg]?)$`)
	// capabilityName is one as docker's --cap-add has it.
	capabilityName = regexp.MustCompile(`^[A-Z][A-Z_]*$`)
	// boundedLogs are the log drivers that take the options of defaultLog.
	boundedLogs = []string{"json-file", "local"}
)

// any says whether there is any.
func (d *defaults) any() bool { return !reflect.DeepEqual(d, &defaults{}) }

func (c checker) checkDefaults(d *defaults) error {
	for i, name := range d.Capabilities {
		if !capabilityName.MatchString(name) || strings.HasPrefix(name, "CAP_") || name == "ALL" {
			return c.fail(fmt.Sprintf("is no capability: %.100q", name), "such as NET_BIND_SERVICE", "defaults", "capabilities", i)
		}
	}
	if d.PIDs < 0 {
		return c.fail("is below 0", "such as 512", "defaults", "pids")
	}
	if d.CPUs < 0 || d.CPUs > 0 && d.CPUs < 0.01 { // the kernel's least quota
		return c.fail("is too little", "such as 1.5", "defaults", "cpus")
	}
	if d.Memory != "" {
		m := size.FindStringSubmatch(d.Memory)
		if m == nil {
			return c.fail(fmt.Sprintf("is no size: %.100q", d.Memory), "such as 512m", "defaults", "memory")
		}
		n, _ := strconv.ParseInt(m[1], 10, 64) // it has at most ten digits
		if d.memory = n << (10 * max(0, strings.Index("bkmg", m[2]))); m[2] == "" {
			d.memory = n
		}
		if d.memory < 6<<20 { // moby's linuxMinMemory
			return c.fail("is below 6m, which an engine refuses", "such as 512m", "defaults", "memory")
		}
	}
	if d.Log.MaxSize != "" && !size.MatchString(d.Log.MaxSize) {
		return c.fail(fmt.Sprintf("is no size: %.100q", d.Log.MaxSize), "such as 10m", "defaults", "log", "max-size")
	}
	if d.Log.MaxFile < 0 {
		return c.fail("is below 0", "such as 3", "defaults", "log", "max-file")
	}
	if r := d.Runtime; r != nil {
		if r.Name == "" {
			return c.fail("is missing", "such as runsc", "defaults", "runtime", "name")
		}
		return c.patterns(r.Trusted, "defaults", "runtime", "trusted")
	}
	return nil
}

// trusts says whether containers of an image get the engine's own runtime.
func (r *defaultRuntime) trusts(i *workload.Image) bool {
	return slices.ContainsFunc(r.Trusted, func(pattern string) bool { return workload.NameFits(pattern, i.Name) }) && cameFrom(i)
}

// lacking is what a new container would get. Driver is the engine's log driver; image is nil
// where there is none yet.
func (d *defaults) lacking(body *workload.CreateBody, driver string, image *workload.Image) (fill []filling) {
	h := &body.HostConfig
	add := func(option string, value any, at ...string) {
		fill = append(fill, filling{option, append([]string{"HostConfig"}, at...), value})
	}
	if d.NoNewPrivileges && !slices.ContainsFunc(h.SecurityOpt, func(o string) bool { return strings.HasPrefix(o, "no-new-privileges") }) {
		add("--security-opt no-new-privileges", append(slices.Clone(h.SecurityOpt), "no-new-privileges"), "SecurityOpt")
	}
	if d.Capabilities != nil && !h.Privileged && len(h.CapDrop) == 0 && h.Capabilities == nil && !slices.ContainsFunc(h.CapAdd, func(c string) bool { return strings.EqualFold(c, "ALL") }) {
		add("--cap-drop ALL", []string{"ALL"}, "CapDrop")
		if kept := without(d.Capabilities, h.CapAdd); len(kept) > 0 {
			add("--cap-add "+strings.Join(kept, " --cap-add "), append(slices.Clone(h.CapAdd), kept...), "CapAdd")
		}
	}
	if d.PIDs > 0 && (h.PidsLimit == nil || *h.PidsLimit == 0) {
		add("--pids-limit "+strconv.FormatInt(d.PIDs, 10), d.PIDs, "PidsLimit")
	}
	if d.memory > 0 && h.Memory == 0 {
		add("--memory "+d.Memory, d.memory, "Memory")
	}
	if d.CPUs > 0 && h.NanoCPUs == 0 && h.CPUQuota == 0 && h.CPUPeriod == 0 {
		add("--cpus "+strconv.FormatFloat(d.CPUs, 'f', -1, 64), int64(d.CPUs*1e9), "NanoCpus")
	}
	if to := h.LogConfig.Type; slices.Contains(boundedLogs, to) || to == "" && slices.Contains(boundedLogs, driver) {
		for _, option := range []struct{ name, value string }{{"max-size", d.Log.MaxSize}, {"max-file", strconv.FormatInt(d.Log.MaxFile, 10)}} {
			if _, said := h.LogConfig.Config[option.name]; !said && option.value != "" && option.value != "0" {
				add("--log-opt "+option.name+"="+option.value, option.value, "LogConfig", "Config", option.name)
			}
		}
	}
	if d.Runtime != nil && h.Runtime == "" && image != nil && !d.Runtime.trusts(image) {
		add("--runtime "+d.Runtime.Name, d.Runtime.Name, "Runtime")
	}
	return fill
}

// without are the capabilities that another list does not have in any spelling.
func without(list, other []string) (left []string) {
	for _, c := range list {
		if !slices.ContainsFunc(other, func(o string) bool { return strings.EqualFold(strings.TrimPrefix(strings.ToUpper(o), "CAP_"), c) }) {
			left = append(left, c)
		}
	}
	return left
}

// fill puts into the body of a new container, of which f are the facts, what its maker left
// out, and says whether it is another body then. In the mode observe it only says what it
// would put there.
func (x *exchange) fill(body *workload.CreateBody, f *facts.Facts) (changed bool, err error) {
	image := &f.Containers[0].Image
	if image.ID == "" {
		image = nil
	}
	if x.tree == nil || body.HostConfig.Isolation != "" && body.HostConfig.Isolation != "default" {
		return false, nil
	}
	fill := x.p.Defaults.lacking(body, f.Daemon.LogDriver, image)
	for _, f := range fill {
		x.filled = append(x.filled, f.option)
	}
	if len(fill) == 0 || !x.enforces() {
		return false, nil
	}
	for _, f := range fill {
		if err := put(x.tree, f.at, f.value); err != nil {
			return false, err
		}
	}
	// It is read again, so that what is judged is what is passed on.
	x.body = api.Encode(x.tree)
	tree, parsed, refusal := api.Decode(x.match.Endpoint, x.match.Version, x.body)
	if refusal != nil {
		return false, fmt.Errorf("filling in defaults: %s", refusal.Message)
	}
	x.tree, x.parsed = tree, parsed
	return true, nil
}

// put sets a value in a tree, and makes the objects that lead there.
func put(v *strict.Value, at []string, value any) error {
	if len(at) == 0 {
		data, err := json.Marshal(value)
		if err != nil {
			return err
		}
		set, err := strict.Tree("", data)
		if err != nil {
			return err
		}
		*v = *set
		return nil
	}
	if v.Kind != strict.Object {
		*v = strict.Value{Kind: strict.Object}
	}
	inner := v.Get(at[0])
	if inner == nil {
		inner = &strict.Value{Kind: strict.Null}
		v.Members = append(v.Members, strict.Member{Key: at[0], Value: inner})
	}
	return put(inner, at[1:], value)
}

// warned is the engine's answer to a create with what was filled in among its warnings,
// which every client shows.
func (x *exchange) warned(answer []byte) ([]byte, error) {
	if len(x.filled) == 0 || !x.enforces() {
		return answer, nil
	}
	tree, err := strict.Tree("the engine's answer", answer)
	if err != nil {
		return nil, err
	}
	warnings := []string{}
	if said := tree.Get("Warnings"); said != nil && said.Kind == strict.Array {
		for _, w := range said.Items {
			warnings = append(warnings, w.Text())
		}
	}
	for _, option := range x.filled {
		warnings = append(warnings, "plimsoll has set "+option+", which was left out")
	}
	if err := put(tree, []string{"Warnings"}, warnings); err != nil {
		return nil, err
	}
	return append(bytes.TrimRight(api.Encode(tree), "\n"), '\n'), nil
}
