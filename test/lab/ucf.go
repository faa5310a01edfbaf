package lab

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ucfDir is where ucf(1), with which some packages install their configuration,
// keeps two lists, and of each its last eight states.
const ucfDir = "/var/lib/ucf"

var ucfLists = []string{"registry", "hashfile"}

// ucfFiles reads the lists in a folder and their former states, by name.
func ucfFiles(dir string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, list := range ucfLists {
		paths, err := filepath.Glob(filepath.Join(dir, list+"*"))
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			if files[filepath.Base(path)], err = os.ReadFile(path); err != nil {
				return nil, fmt.Errorf("reading ucf's lists: %w", err)
			}
		}
	}
	return files, nil
}

// restoreUcf puts the former states back as they were. Where a list is not
// again as it was, somebody else has installed something, and nothing is done.
func restoreUcf(dir string, before map[string][]byte) error {
	now, err := ucfFiles(dir)
	if err != nil {
		return err
	}
	for _, list := range ucfLists {
		if !bytes.Equal(now[list], before[list]) {
			return nil
		}
	}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if _, ok := before[name]; ok || slices.Contains(ucfLists, name) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing a state of ucf's lists: %w", err)
		}
	}
	for name, content := range before {
		if !strings.Contains(name, ".") || bytes.Equal(now[name], content) {
			continue
		}
		err := os.WriteFile(filepath.Join(dir, name), content, 0o644)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // ucf itself may be gone
			return fmt.Errorf("putting back a state of ucf's lists: %w", err)
		}
	}
	return nil
}
