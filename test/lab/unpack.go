package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// unpackPrefix marks a name whose package is not to be installed but unpacked,
// with what it needs, into a folder of its own: one that would start a service,
// make users and keys, or ask for newer versions of what is installed.
const unpackPrefix = "unpack:"

// unpackDir holds a folder for each package that was unpacked, and for one that
// is not yet whole.
const (
	unpackDir  = recordDir + "/unpacked"
	partSuffix = ".part"
)

// Program returns a program of a Debian package, and what to add to its
// environment: the installed one, or else the one that `lab test unpack:PACKAGE`
// has unpacked. path is that within the package, as "/usr/sbin/sshd".
func Program(debian, path string) (program string, environ []string, err error) {
	if _, err := os.Stat(path); err == nil {
		return path, nil, nil
	}
	tree := filepath.Join(unpackDir, debian)
	program = filepath.Join(tree, path)
	if _, err := os.Stat(program); err != nil {
		return "", nil, fmt.Errorf("%s is neither installed nor unpacked: %w", debian, err)
	}
	var libs []string
	for _, pattern := range []string{"lib/*-linux-gnu*", "usr/lib/*-linux-gnu*"} {
		dirs, err := filepath.Glob(filepath.Join(tree, pattern))
		if err != nil {
			return "", nil, err
		}
		libs = append(libs, dirs...)
	}
	return program, []string{"LD_LIBRARY_PATH=" + strings.Join(libs, ":")}, nil
}

// toUnpack splits names into those to install and those to unpack.
func toUnpack(names []string) (install, unpack []string) {
	for _, n := range names {
		if bare, ok := strings.CutPrefix(n, unpackPrefix); ok {
			unpack = append(unpack, bare)
		} else {
			install = append(install, n)
		}
	}
	return install, unpack
}

// isThere reports whether a package is installed or, for one to unpack, at
// least unpacked.
func isThere(name string) (bool, error) {
	bare, mayUnpack := strings.CutPrefix(name, unpackPrefix)
	state, err := packageState(bare)
	if err != nil || state == "installed" || !mayUnpack {
		return state == "installed", err
	}
	_, err = os.Stat(filepath.Join(unpackDir, bare))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// archives downloads a package and all that it needs and is not installed, or
// not in the version that it needs, and returns the files.
func (a *apt) archives(ctx context.Context, name string) ([]string, error) {
	dir := filepath.Join(a.dir, "unpack-"+name)
	if err := os.MkdirAll(filepath.Join(dir, "partial"), 0o755); err != nil {
		return nil, fmt.Errorf("making a folder for downloads: %w", err)
	}
	if _, err := a.get(ctx, "-o", "Dir::Cache::Archives="+dir, "--download-only", "install", name); err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	// The C library is always the machine's: its loader takes no other.
	return slices.DeleteFunc(files, func(f string) bool { return strings.HasPrefix(filepath.Base(f), "libc6_") }), err
}

// unpack puts the files of archives into the folder tree, whole or not at all.
func unpack(tree string, archives []string) error {
	part := tree + partSuffix
	if err := errors.Join(os.RemoveAll(part), os.MkdirAll(part, 0o755)); err != nil {
		return fmt.Errorf("making a folder to unpack in: %w", err)
	}
	for _, file := range archives {
		if err := quiet("dpkg-deb", "--extract", file, part); err != nil {
			return errors.Join(err, os.RemoveAll(part))
		}
	}
	if err := os.Rename(part, tree); err != nil {
		return fmt.Errorf("unpacking: %w", err)
	}
	return nil
}
