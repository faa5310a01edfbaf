package lab

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// capabilityNames are the kernel's capabilities in the order of their numbers
// (include/uapi/linux/capability.h), as runc writes them after "CAP_".
var capabilityNames = strings.Fields(`
	CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
	NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE
	SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE
	AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF
	CHECKPOINT_RESTORE`)

// missingCapabilities returns those that the kernel knows but no process here
// may have, because they are not in this one's bounding set: a privileged
// container could not start with them.
func missingCapabilities() []string {
	var missing []string
	for i, name := range capabilityNames {
		has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(i), 0, 0, 0)
		if err == nil && has == 0 {
			missing = append(missing, "CAP_"+name)
		}
	}
	return missing
}

// writeRunc puts a runc into the engine's bin that leaves out the capabilities
// the machine lacks. It is called runc too, so that what inspect says of a
// container is what an ordinary engine says. Where nothing is missing there is
// none, and the machine's runs.
func writeRunc(dir string) error {
	missing := missingCapabilities()
	if len(missing) == 0 {
		return nil
	}
	script := fmt.Sprintf("#!/bin/sh\nexec %s %s %s \"$@\"\n", filepath.Join(dir, "lab"), stageRunc, strings.Join(missing, ","))
	if err := os.WriteFile(filepath.Join(dir, "bin", "runc"), []byte(script), 0o755); err != nil {
		return fmt.Errorf("writing the runtime's wrapper: %w", err)
	}
	return nil
}

// runc becomes the machine's runc with args, after removing the capabilities
// in missing, a list with commas, from the file that args name, if any.
func runc(missing string, args []string) error {
	if path := capabilityFile(args); path != "" {
		if err := stripFile(path, strings.Split(missing, ",")); err != nil {
			return err
		}
	}
	real, err := lookPath("runc")
	if err != nil {
		return err
	}
	return fmt.Errorf("running runc: %w", unix.Exec(real, append([]string{"runc"}, args...), os.Environ()))
}

// runcGlobals are runc's options before the command that take a value.
var runcGlobals = []string{"--root", "--log", "--log-format", "--criu", "--rootless"}

// capabilityFile returns the path of the JSON file that grants capabilities in
// a call of runc: the bundle's config.json for create and run, the process
// file for exec, "" for all other calls.
func capabilityFile(args []string) string {
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		if slices.Contains(runcGlobals, args[0]) && len(args) > 1 {
			args = args[1:]
		}
		args = args[1:]
	}
	if len(args) == 0 {
		return ""
	}
	switch command := args[0]; command {
	case "create", "run":
		// runc's default for the bundle is the working directory.
		return filepath.Join(option(args[1:], "--bundle", "-b"), "config.json")
	case "exec":
		return option(args[1:], "--process", "-p")
	}
	return ""
}

// option returns the value of an option in one of its two spellings, or "".
func option(args []string, long, short string) string {
	for i, a := range args {
		name, value, joined := strings.Cut(a, "=")
		if !joined && i+1 < len(args) {
			value = args[i+1]
		}
		if name == long || name == short {
			return value
		}
	}
	return ""
}

func stripFile(path string, missing []string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the container's settings: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("reading the container's settings: %w", err)
	}
	b, err = strip(b, missing)
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	if err := os.WriteFile(path, b, info.Mode()); err != nil {
		return fmt.Errorf("writing the container's settings: %w", err)
	}
	return nil
}

// strip removes capabilities from an OCI runtime configuration, or from the
// process object alone that exec is given. All else keeps its value.
func strip(config []byte, missing []string) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(config))
	dec.UseNumber()
	var root map[string]any
	if err := dec.Decode(&root); err != nil {
		return nil, err
	}
	if root == nil {
		return nil, errors.New("not a JSON object")
	}
	process := root
	if inner, ok := root["process"].(map[string]any); ok {
		process = inner
	}
	sets, _ := process["capabilities"].(map[string]any)
	for kind, v := range sets {
		list, ok := v.([]any)
		if !ok {
			continue
		}
		sets[kind] = slices.DeleteFunc(list, func(name any) bool {
			s, ok := name.(string)
			return ok && slices.Contains(missing, s)
		})
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(root); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
