package runline

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// An attachment is what one --network asks for. The zero addresses are none.
type attachment struct {
	target         string
	aliases, links []string
	driverOptions  map[string]string
	ip, ip6        netip.Addr
	linkLocalIPs   []netip.Addr
	macAddress     string
	priority       int
}

// parseAttachment reads a network's name, or NAME=VALUE between commas; these
// the client reads in lower case altogether.
func parseAttachment(text string) (attachment, error) {
	if !hasPair(text) {
		return attachment{target: text}, nil
	}
	fields, err := splitCommas(text)
	if err != nil {
		return attachment{}, err
	}
	var a attachment
	for _, field := range fields {
		key, value, found := strings.Cut(strings.ToLower(field), "=")
		if !found || key == "" {
			return attachment{}, fmt.Errorf("%q is not NAME=VALUE", field)
		}
		if err := a.set(strings.TrimSpace(key), strings.TrimSpace(value)); err != nil {
			return attachment{}, fmt.Errorf("%q: %w", field, err)
		}
	}
	if a.target == "" {
		return attachment{}, errors.New("the network is not named: add name=NETWORK")
	}
	return a, nil
}

// hasPair is true where an equals sign stands between two characters of words.
// A text without one is a name as a whole.
func hasPair(text string) bool {
	for i := 1; i < len(text)-1; i++ {
		if text[i] == '=' && only(text[i-1:i]+text[i+1:i+2], alnum+"_") {
			return true
		}
	}
	return false
}

func (a *attachment) set(key, value string) (err error) {
	switch key {
	case "name":
		a.target = value
	case "alias":
		a.aliases = append(a.aliases, value)
	case "ip":
		a.ip, err = parseAddr(value)
	case "ip6":
		a.ip6, err = parseAddr(value)
	case "link-local-ip":
		var ip netip.Addr
		ip, err = parseAddr(value)
		a.linkLocalIPs = append(a.linkLocalIPs, ip)
	case "mac-address":
		a.macAddress = value
	case "driver-opt":
		name, setting, found := strings.Cut(value, "=")
		if !found || name == "" {
			return errors.New("a driver's option is NAME=VALUE")
		}
		if a.driverOptions == nil {
			a.driverOptions = map[string]string{}
		}
		a.driverOptions[strings.TrimSpace(name)] = strings.TrimSpace(setting)
	case "gw-priority":
		if a.priority, err = strconv.Atoi(value); err != nil {
			return errors.New("a priority is a whole number")
		}
	default:
		return errors.New("there is no such option of --network")
	}
	return err
}

func parseAddr(text string) (netip.Addr, error) {
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%q is not an address", text)
	}
	return ip, nil
}
