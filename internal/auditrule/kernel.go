package auditrule

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/netlink"
)

// Status is how the kernel's audit is (struct audit_status).
type Status struct {
	// Enabled is as in Set. Daemon is true where a program takes the records.
	Enabled int
	Daemon  bool
}

// Numbers of include/uapi/linux/audit.h.
const (
	getStatus = 1000 // AUDIT_GET
	listRules = 1013 // AUDIT_LIST_RULES

	maxFields  = 64   // AUDIT_MAX_FIELDS, and AUDIT_BITMASK_SIZE
	ruleBytes  = 1040 // struct audit_rule_data without buf
	allCalls   = 14   // words of the mask that have a system call of any machine
	fieldArch  = 11
	fieldWatch = 105
	fieldPerm  = 106
	fieldDir   = 107
	fieldKey   = 210
)

// ErrNoAudit is a kernel without audit: a caller then knows that nothing is recorded.
var ErrNoAudit = errors.New("this kernel has no audit")

// Kernel asks the kernel for its rules, which needs CAP_AUDIT_CONTROL in the first
// user and process namespaces.
func Kernel() (*Set, Status, error) {
	socket, err := netlink.Open(unix.NETLINK_AUDIT)
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil, Status{}, ErrNoAudit
	}
	if err != nil {
		return nil, Status{}, err
	}
	defer socket.Close()
	ask := func(kind uint16, take func(data []byte) (bool, error)) error {
		if err := socket.Ask(kind, 0, nil, take); err != nil {
			return fmt.Errorf("asking the kernel for its audit rules: %w", err)
		}
		return nil
	}
	var status Status
	if err := ask(getStatus, func(data []byte) (_ bool, err error) {
		status, err = readStatus(data)
		return true, err // it is one message
	}); err != nil {
		return nil, Status{}, err
	}
	set := &Set{Enabled: status.Enabled}
	err = ask(listRules, func(data []byte) (bool, error) {
		r, err := readRule(data)
		if err == nil && len(set.Rules) == maxRules {
			err = fmt.Errorf("there are more than %d", maxRules)
		}
		set.Rules = append(set.Rules, r)
		return false, err
	})
	return set, status, err
}

// readStatus reads a struct audit_status, of which kernels have had less and more.
func readStatus(data []byte) (Status, error) {
	if len(data) < 16 {
		return Status{}, errors.New("the status is cut off")
	}
	return Status{Enabled: int(binary.NativeEndian.Uint32(data[4:])), Daemon: binary.NativeEndian.Uint32(data[12:]) != 0}, nil
}

// readRule reads a struct audit_rule_data.
func readRule(data []byte) (Rule, error) {
	if len(data) < ruleBytes {
		return Rule{}, errors.New("a rule is cut off")
	}
	word := func(i int) uint32 { return binary.NativeEndian.Uint32(data[4*i:]) }
	const maskAt, fieldsAt, valuesAt, flagsAt = 3, 3 + maxFields, 3 + 2*maxFields, 3 + 3*maxFields
	lists := []string{"user", "task", "entry", "watch", "exit", "exclude", "filesystem", "io_uring"}
	list, action, count := word(0)&^0x10, word(1), int(word(2)) // without AUDIT_FILTER_PREPEND
	texts := data[ruleBytes:]
	if int(list) >= len(lists) || count > maxFields || uint64(word(flagsAt+maxFields)) > uint64(len(texts)) {
		return Rule{}, errors.New("a rule is malformed")
	}
	r := Rule{List: lists[list], Never: action == 0, Permissions: Every}
	parts := []string{"-a", map[bool]string{true: "never", false: "always"}[r.Never] + "," + r.List}
	for i := range allCalls {
		if word(maskAt+i) != 0xffffffff && r.List == "exit" {
			r.Conditions = append(r.Conditions, "-S some system calls")
			break
		}
	}
	for i := range count {
		field, value, equal := word(fieldsAt+i), word(valuesAt+i), word(flagsAt+i)&0x78000000 == 0x40000000
		text := ""
		if isText(field) {
			if uint64(value) > uint64(len(texts)) {
				return Rule{}, errors.New("a rule is malformed")
			}
			text, texts = strings.ToValidUTF8(strings.TrimRight(string(texts[:value]), "\x00"), "\uFFFD"), texts[value:]
		}
		switch {
		case (field == fieldWatch || field == fieldDir) && equal:
			r.Path, r.Tree = text, field == fieldDir
			parts = append(parts, "-F", map[bool]string{true: "dir=", false: "path="}[r.Tree]+text)
		case field == fieldPerm && equal:
			r.Permissions = ""
			for _, one := range []struct {
				bit  uint32
				text string
			}{{4, "r"}, {2, "w"}, {1, "x"}, {8, "a"}} {
				if value&one.bit != 0 {
					r.Permissions += one.text
				}
			}
			parts = append(parts, "-F", "perm="+r.Permissions)
		case field == fieldKey:
			parts = append(parts, "-F", "key="+text)
		case field == fieldArch && equal && value&0x80000000 != 0: // __AUDIT_ARCH_64BIT
			parts = append(parts, "-F", "arch=b64")
		default:
			r.Conditions = append(r.Conditions, condition(field, word(flagsAt+i), value, text))
		}
	}
	r.Text = strings.Join(append(parts, r.Conditions...), " ")
	return r, nil
}

// condition writes a field that is about no file, as auditctl would where it is a
// common one.
func condition(field, operator, value uint32, text string) string {
	name := map[uint32]string{0: "pid", 1: "uid", 2: "euid", 5: "gid", 9: "auid", 11: "arch", 103: "exit", 104: "success", 112: "exe"}[field]
	if name == "" {
		name = fmt.Sprintf("field%d", field)
	}
	sign := map[uint32]string{0x40000000: "=", 0x30000000: "!=", 0x10000000: "<", 0x20000000: ">", 0x50000000: "<=", 0x60000000: ">="}[operator&0x78000000]
	if sign == "" {
		sign = "&"
	}
	switch {
	case text != "":
		return "-F " + name + sign + text
	case value == 0xffffffff && name == "auid":
		return "-F auid" + sign + "unset"
	}
	return fmt.Sprintf("-F %s%s%d", name, sign, int32(value))
}

// isText reports whether a field's value is a text behind the rule, whose length
// stands in its place.
func isText(field uint32) bool {
	return field >= 13 && field <= 17 || field >= 19 && field <= 23 || field == 112 || field == fieldWatch || field == fieldDir || field == fieldKey
}
