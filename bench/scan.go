package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/plimsoll/plimsoll/internal/image/imagetest"
	"github.com/plimsoll/plimsoll/internal/sbom"
	"github.com/plimsoll/plimsoll/internal/scan/scantest"
)

// scanFixtures is where the lists of packages are that scanners are compared by.
const scanFixtures = "test/testdata/scan"

// recordPeer has osv-scanner look at an image of each fixture, or at a list of the
// packages where no image can be typed, with the records of the fixtures, and writes what it says to
// a file: the rows that a test compares ours with. RPMs are compared by rpm.
func recordPeer(ctx context.Context, program, rpm, file string) (err error) {
	dir, err := os.MkdirTemp("", "plimsoll-bench-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	// It looks for zips below the user's cache, in a folder of its library's name.
	if err := scantest.Zips(filepath.Join(scanFixtures, "osv"), filepath.Join(dir, "osv-scalibr")); err != nil {
		return err
	}
	fixtures, err := scantest.Fixtures(scanFixtures)
	if err != nil {
		return err
	}
	var rows []scantest.Row
	for i := range fixtures {
		f := &fixtures[i]
		var found []scantest.Row
		if f.Document.Packages[0].Type == sbom.RPM {
			found, err = rpmRows(ctx, rpm, filepath.Join(scanFixtures, "osv"), f)
		} else {
			found, err = osvScanner(ctx, program, dir, f)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		rows = append(rows, found...)
	}
	version, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(string(version), "\n")
	data, err := json.MarshalIndent(scantest.Peer{Program: strings.TrimSpace(strings.Replace(first, " version:", "", 1)), Rows: scantest.Sorted(rows)}, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(data, '\n'), 0o644)
}

// peerArguments writes what is looked at.
func peerArguments(f *scantest.Fixture, dir string) ([]string, error) {
	layer, err := f.Layer()
	if err != nil {
		return nil, err
	}
	if layer != nil {
		var b bytes.Buffer
		if err := imagetest.Write(&b, nil, layer); err != nil {
			return nil, err
		}
		path := filepath.Join(dir, f.Name+".tar")
		return []string{"scan", "image", "--offline", "--format", "json", "--archive", path}, os.WriteFile(path, b.Bytes(), 0o644)
	}
	// A list in its own form, which says each package's ecosystem.
	type listed struct {
		Package map[string]string `json:"package"`
	}
	var packages []listed
	for _, p := range f.Document.Packages {
		ecosystem, why := p.Ecosystem()
		if why != "" {
			return nil, errors.New(why)
		}
		packages = append(packages, listed{map[string]string{"name": p.Name, "version": p.Version, "ecosystem": ecosystem}})
	}
	data, err := json.Marshal(map[string]any{"results": []any{map[string]any{"packages": packages}}})
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, f.Name+".json")
	return []string{"scan", "source", "--offline", "--format", "json", "-L", "osv-scanner:" + path}, os.WriteFile(path, data, 0o644)
}

// osvScanner runs it. It ends with 1 where it finds something.
func osvScanner(ctx context.Context, program, cache string, f *scantest.Fixture) ([]scantest.Row, error) {
	args, err := peerArguments(f, cache)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+cache)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1) {
		return nil, fmt.Errorf("%w: %s", err, errs.String())
	}
	if strings.Contains(errs.String(), "could not load db") {
		return nil, errors.New(errs.String())
	}
	var body struct {
		Results []struct {
			Packages []struct {
				Package         struct{ Name, Version string }
				Vulnerabilities []struct{ ID string }
			}
		}
	}
	if err := json.Unmarshal(out.Bytes(), &body); err != nil {
		return nil, err
	}
	var rows []scantest.Row
	for _, r := range body.Results {
		for _, p := range r.Packages {
			for _, v := range p.Vulnerabilities {
				rows = append(rows, scantest.Row{Fixture: f.Name, Package: p.Package.Name, Version: p.Package.Version, ID: v.ID})
			}
		}
	}
	return rows, nil
}
