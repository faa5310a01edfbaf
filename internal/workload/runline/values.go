package runline

import (
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	"github.com/spf13/pflag"

	"github.com/plimsoll/plimsoll/internal/workload"
)

// single gives a flag the value that parse makes of its text; of several the
// last one counts.
func single[T any](f *pflag.FlagSet, into *T, parse func(string) (T, error), name, short string) {
	f.FuncP(name, short, "", func(text string) error {
		v, err := parse(text)
		*into = v
		return err
	})
}

// several lets a repeatable flag append what parse makes of each text.
func several[T any](f *pflag.FlagSet, into *[]T, parse func(string) (T, error), name, short string) {
	f.FuncP(name, short, "", func(text string) error {
		v, err := parse(text)
		*into = append(*into, v)
		return err
	})
}

// plain lets every text through as it is.
func plain(text string) (string, error) { return text, nil }

// mapping lets a repeatable NAME=VALUE flag fill values.
func mapping(f *pflag.FlagSet, values *map[string]string, check func(string) (string, error), name string) {
	*values = map[string]string{}
	f.Func(name, "", func(text string) error {
		text, err := check(text)
		key, value, _ := strings.Cut(text, "=")
		(*values)[key] = value
		return err
	})
}

// pairs makes a map of NAME=VALUE and bare NAME; a later one replaces an
// earlier one.
func pairs(texts []string) map[string]string {
	m := make(map[string]string, len(texts))
	for _, t := range texts {
		key, value, _ := strings.Cut(t, "=")
		m[key] = value
	}
	return m
}

// parseBytes reads an amount of bytes; k, m, g, t and p are powers of 1024.
func parseBytes(text string) (int64, error) {
	n, err := units.RAMInBytes(text)
	if err != nil {
		return 0, errors.New("an amount of bytes is a number with or without a unit, as in 512m or 1.5GiB")
	}
	return n, nil
}

// parseSwapBytes is parseBytes with -1 for no limit.
func parseSwapBytes(text string) (int64, error) {
	if text == "-1" {
		return -1, nil
	}
	return parseBytes(text)
}

// parseCPUs reads a number of processors, a decimal or a fraction, as
// billionths of one. Of a number beyond 64 bits the lower ones stay, as with
// the client: this is what the engine is sent.
func parseCPUs(text string) (int64, error) {
	cpus, ok := new(big.Rat).SetString(text)
	if !ok {
		return 0, errors.New("a number of processors is a decimal number, as in 1.5")
	}
	if cpus.Mul(cpus, big.NewRat(1e9, 1)); !cpus.IsInt() {
		return 0, errors.New("a number of processors has at most nine digits behind the point")
	}
	return cpus.Num().Int64(), nil
}

func parseUmask(text string) (*uint32, error) {
	mask, err := strconv.ParseUint(text, 8, 32)
	if err != nil {
		return nil, errors.New("a mask is an octal number, as in 0027")
	}
	small := uint32(mask)
	return &small, nil
}

// parseRestart reads NAME[:COUNT]; which names there are is the engine's
// business.
func parseRestart(text string) (workload.RestartPolicy, error) {
	name, count, found := strings.Cut(text, ":")
	if found && name == "" {
		return workload.RestartPolicy{}, errors.New("no policy stands before the colon: write NAME[:COUNT], as in on-failure:5")
	}
	tries := 0
	if count != "" {
		var err error
		if tries, err = strconv.Atoi(count); err != nil {
			return workload.RestartPolicy{}, fmt.Errorf("%q is not a whole number: write NAME[:COUNT], as in on-failure:5", count)
		}
	}
	return workload.RestartPolicy{Name: name, MaximumRetryCount: int64(tries)}, nil
}

// setUlimit reads NAME=SOFT[:HARD]; a later limit of a name replaces an earlier
// one.
func (d *draft) setUlimit(text string) error {
	u, err := units.ParseUlimit(text)
	if err != nil {
		return fmt.Errorf("%w: write NAME=SOFT[:HARD], as in nofile=1024:2048", err)
	}
	if d.ulimits == nil {
		d.ulimits = map[string]workload.UlimitBody{}
	}
	d.ulimits[u.Name] = workload.UlimitBody{Name: u.Name, Soft: u.Soft, Hard: u.Hard}
	return nil
}

// sortedUlimits are in the order of their names, as the client sends them.
func (d *draft) sortedUlimits() []workload.UlimitBody {
	return slices.SortedFunc(maps.Values(d.ulimits), func(a, b workload.UlimitBody) int { return strings.Compare(a.Name, b.Name) })
}

// splitDevice reads /dev/NAME:NUMBER.
func splitDevice(text string) (device, number string, err error) {
	device, number, found := strings.Cut(text, ":")
	if !found || !strings.HasPrefix(device, "/dev/") {
		return "", "", errors.New("it is not a path below /dev, a colon and a number, as in /dev/sda:500")
	}
	return device, number, nil
}

// parseByteRate reads /dev/NAME:BYTES, the bytes as parseBytes does.
func parseByteRate(text string) (workload.ThrottleDevice, error) {
	device, number, err := splitDevice(text)
	if err != nil {
		return workload.ThrottleDevice{}, err
	}
	rate, err := parseBytes(number)
	if err != nil || rate < 0 {
		return workload.ThrottleDevice{}, fmt.Errorf("%q is not a number of bytes a second, as in 1mb", number)
	}
	return workload.ThrottleDevice{Path: device, Rate: rate}, nil
}

// parseOperationRate reads /dev/NAME:OPERATIONS. The request has room for 63
// bits; what is beyond limits nothing, so nobody is served by it.
func parseOperationRate(text string) (workload.ThrottleDevice, error) {
	device, number, err := splitDevice(text)
	if err != nil {
		return workload.ThrottleDevice{}, err
	}
	rate, err := strconv.ParseUint(number, 10, 63)
	if err != nil {
		return workload.ThrottleDevice{}, fmt.Errorf("%q is not a number of operations a second, as in 1000", number)
	}
	return workload.ThrottleDevice{Path: device, Rate: int64(rate)}, nil
}

// parseWeight reads /dev/NAME:WEIGHT.
func parseWeight(text string) (workload.WeightDevice, error) {
	device, number, err := splitDevice(text)
	if err != nil {
		return workload.WeightDevice{}, err
	}
	weight, err := strconv.ParseUint(number, 10, 16)
	if err != nil || weight > 0 && (weight < 10 || weight > 1000) {
		return workload.WeightDevice{}, fmt.Errorf("the weight %q is not from 10 to 1000, nor 0", number)
	}
	return workload.WeightDevice{Path: device, Weight: int64(weight)}, nil
}
