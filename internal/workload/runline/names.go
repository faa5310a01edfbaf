package runline

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// The checks that the client makes of names and addresses. Each returns the
// text as the client sends it.

func checkLabel(text string) (string, error) {
	name, _, _ := strings.Cut(text, "=")
	if name = strings.TrimLeft(name, " \t"); name == "" {
		return "", errors.New("the label has no name: write NAME or NAME=VALUE")
	}
	if strings.ContainsAny(name, " \t") {
		return "", fmt.Errorf("the label's name %q holds a blank", name)
	}
	return text, nil
}

// checkSysctl lets through the kernel parameters that have a namespace.
func checkSysctl(text string) (string, error) {
	name, _, found := strings.Cut(text, "=")
	if !found {
		return "", errors.New("a kernel parameter is NAME=VALUE, as in net.ipv4.ip_forward=1")
	}
	known := []string{
		"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem",
		"kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced",
	}
	if !slices.Contains(known, name) && !strings.HasPrefix(name, "net.") && !strings.HasPrefix(name, "fs.mqueue.") {
		return "", fmt.Errorf("the kernel parameter %q belongs to the whole host: a container has net.*, fs.mqueue.* and some of kernel.* to itself", name)
	}
	return text, nil
}

func checkLink(text string) (string, error) {
	if text == "" || strings.Count(text, ":") > 1 {
		return "", errors.New("a link is CONTAINER or CONTAINER:ALIAS")
	}
	return text, nil
}

func checkAddress(text string) (string, error) {
	ip := net.ParseIP(strings.TrimSpace(text))
	if ip == nil {
		return "", errors.New("it is not an address, as in 192.0.2.1 or 2001:db8::1")
	}
	return ip.String(), nil
}

// checkExtraHost reads NAME:ADDRESS or NAME=ADDRESS, the address in brackets or
// not, and returns the form that every engine knows.
func checkExtraHost(text string) (string, error) {
	name, address, found := strings.Cut(text, "=")
	if !found {
		name, address, found = strings.Cut(text, ":")
	}
	if !found || name == "" || strings.Contains(name, ":") {
		return "", errors.New("a host is NAME:ADDRESS or NAME=ADDRESS")
	}
	if address == "host-gateway" {
		return name + ":" + address, nil
	}
	if len(address) > 2 && address[0] == '[' && address[len(address)-1] == ']' {
		address = address[1 : len(address)-1]
	}
	if _, err := checkAddress(address); err != nil {
		return "", fmt.Errorf("%q is neither an address nor host-gateway", address)
	}
	return name + ":" + address, nil
}

// domainName is what the client takes for a domain. It lets a colon stand
// before a label and before a dot.
var domainName = sync.OnceValue(func() *regexp.Regexp {
	const label = `:?[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?`
	return regexp.MustCompile(`^(:?` + label + `(?::?\.` + label + `)*)\.?\s*$`)
})

// checkSearchDomain returns a domain without the dot and the blanks behind it;
// a dot alone stands for no search domain.
func checkSearchDomain(text string) (string, error) {
	if text = strings.Trim(text, " "); text == "." {
		return text, nil
	}
	hasLetter := strings.ContainsFunc(text, func(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' })
	found := domainName().FindStringSubmatch(text)
	if !hasLetter || found == nil || len(found[1]) > 254 {
		return "", errors.New("it is not a domain, as in example.org: a dot alone stands for none")
	}
	return found[1], nil
}
