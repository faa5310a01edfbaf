package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/strict"
)

// defaultConfig is read where it exists.
const defaultConfig = "/etc/plimsoll/plimsoll.yaml"

// maxConfigBytes bounds the configuration, which a person writes.
const maxConfigBytes = 1 << 20

// config is the configuration file.
type config struct {
	// Mark is the score that a host should lie above, 1 to 100.
	Mark int `yaml:"mark"`
}

func (a *app) config(ctx context.Context) (config, error) {
	c := config{Mark: finding.DefaultMark}
	name := a.configFile
	if name == "" {
		name = defaultConfig
	}
	data, err := readFile(ctx, name, maxConfigBytes)
	switch {
	case errors.Is(err, fs.ErrNotExist) && a.configFile == "":
		return c, nil
	case err != nil:
		return c, &failure{code: exitUsage, message: "the configuration can't be read", hint: "Name another with  --config FILE", err: err}
	}
	if err := strict.YAML(name, data, &c); err != nil {
		return c, err
	}
	if c.Mark < 1 || c.Mark > 100 {
		return c, &failure{code: exitUsage, message: fmt.Sprintf("%s: mark is %d", name, c.Mark), hint: "Write a mark from 1 to 100; 80 is the default."}
	}
	return c, nil
}

// envKey reads the key that environment values are hashed with. Without one
// the hashes are left out.
func (a *app) envKey(ctx context.Context) ([]byte, error) {
	name := filepath.Join(a.state, "env.key")
	key, err := readFile(ctx, name, 1<<10)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission):
		return nil, nil
	case err != nil:
		return nil, &failure{code: exitUnable, message: "the key for environment values can't be read", err: err}
	case len(key) != 32:
		return nil, &failure{code: exitUsage, message: fmt.Sprintf("%s holds %d bytes, not 32", name, len(key)), hint: "Remove it, or put 32 random bytes in it."}
	}
	return key, nil
}
