package workload

import (
	"slices"
	"strconv"
	"strings"
)

// hostDevices is what the names of devices mean (Linux's
// Documentation/admin-guide/devices.txt, and the links that udev makes): words
// with what such a name begins with.
var hostDevices = []struct {
	word     string
	prefixes []string
}{
	{"disk", []string{"/dev/sd", "/dev/hd", "/dev/vd", "/dev/xvd", "/dev/nvme", "/dev/ng", "/dev/mmcblk", "/dev/mtd", "/dev/pmem", "/dev/dax", "/dev/dm-",
		"/dev/mapper", "/dev/md", "/dev/loop", "/dev/nbd", "/dev/rbd", "/dev/ram", "/dev/zram", "/dev/zd", "/dev/zvol", "/dev/drbd", "/dev/bcache",
		"/dev/disk", "/dev/block", "/dev/raw", "/dev/sg", "/dev/bsg"}},
	{"memory", []string{"/dev/mem", "/dev/kmem", "/dev/port"}},
	{"kernel-log", []string{"/dev/kmsg"}},
	{"cpu", []string{"/dev/cpu/"}},
}

// otherDevices have such names and are something else: what asks for further
// rights before it gives anything, and enclaves.
var otherDevices = []string{"/dev/mapper/control", "/dev/loop-control", "/dev/cpu/microcode", "/dev/sgx", "/dev/memory_bandwidth"}

// deviceExposes are the words for a device, or a folder of them, by its name.
func deviceExposes(p string) []string {
	found := []string{}
	if p == "" || slices.ContainsFunc(otherDevices, func(other string) bool { return strings.HasPrefix(p, other) }) {
		return found
	}
	for _, d := range hostDevices {
		if slices.ContainsFunc(d.prefixes, func(prefix string) bool {
			return strings.HasPrefix(p, prefix) || within(strings.TrimSuffix(prefix, "/"), p)
		}) {
			found = append(found, d.word)
		}
	}
	return sortedUnique(found)
}

// nodeExposes is the word for a device file by its kind and numbers, such as
// "b 8:0", or "".
func nodeExposes(node string) string {
	kind, numbers, _ := strings.Cut(node, " ")
	first, second, _ := strings.Cut(numbers, ":")
	major, err := strconv.Atoi(first)
	if err != nil {
		return ""
	}
	const opticalDisc, scsiGeneric, flash, rawDisk, registers = 11, 21, 90, 162, 202
	switch {
	case kind == "b" && major != opticalDisc:
		return "disk"
	case kind == "c" && slices.Contains([]int{scsiGeneric, flash, rawDisk}, major):
		return "disk"
	case kind == "c" && major == 1 && slices.Contains([]string{"1", "2", "4"}, second):
		return "memory"
	case kind == "c" && major == 1 && second == "11":
		return "kernel-log"
	case kind == "c" && major == registers:
		return "cpu"
	}
	return ""
}

// expose fills what the device gives, and reports whether the host was looked at.
func (d *Device) expose(around *Surroundings) bool {
	d.Exposes, d.ResolvedExposes = deviceExposes(d.HostPath), []string{}
	if around.Resolve == nil || around.Nodes == nil {
		return false
	}
	leads, err := around.Resolve(d.HostPath)
	if err != nil {
		return false
	}
	nodes, err := around.Nodes(leads[0])
	if err != nil {
		return false
	}
	d.Resolved, d.ResolvedExposes = leads[0], deviceExposes(leads[0])
	for _, node := range nodes {
		if word := nodeExposes(node); word != "" {
			d.ResolvedExposes = append(d.ResolvedExposes, word)
		}
	}
	d.ResolvedExposes = sortedUnique(d.ResolvedExposes)
	return true
}
