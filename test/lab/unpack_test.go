package lab

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

func TestToUnpack(t *testing.T) {
	install, unpack := toUnpack([]string{"docker.io", "unpack:openssh-server", "runc"})
	if !slices.Equal(install, []string{"docker.io", "runc"}) || !slices.Equal(unpack, []string{"openssh-server"}) {
		t.Errorf("got %v to install and %v to unpack", install, unpack)
	}
}

// A package is unpacked whole or not at all.
func TestUnpack(t *testing.T) {
	if _, err := lookPath("dpkg-deb"); err != nil {
		lacking(t, "this is not Debian: there is no dpkg-deb")
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "src/DEBIAN/control"),
		"Package: anchor\nVersion: 1\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\nDescription: an anchor\n")
	writeFile(t, filepath.Join(dir, "src/usr/share/anchor"), "heavy")
	good, bad, tree := filepath.Join(dir, "good.deb"), filepath.Join(dir, "bad.deb"), filepath.Join(dir, "tree")
	if out, err := exec.Command("dpkg-deb", "--build", filepath.Join(dir, "src"), good).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	writeFile(t, bad, "not an archive")
	if err := unpack(tree, []string{good, bad}); err == nil {
		t.Error("what is not an archive was unpacked")
	}
	for _, path := range []string{tree, tree + partSuffix} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is left of what could not be unpacked", path)
		}
	}
	// As a killed lab leaves it.
	writeFile(t, filepath.Join(tree+partSuffix, "usr/share/rust"), "old")
	if err := unpack(tree, []string{good}); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(tree, "usr/share/anchor")); err != nil || string(b) != "heavy" {
		t.Errorf("got %q, %v", b, err)
	}
	if _, err := os.Stat(filepath.Join(tree, "usr/share/rust")); err == nil {
		t.Error("what an earlier try has left was kept")
	}
}

func TestProgram(t *testing.T) {
	if path, environ, err := Program("dpkg", "/usr/bin/dpkg"); path != "/usr/bin/dpkg" || environ != nil || err != nil {
		t.Errorf("an installed program is at %q with %v, %v", path, environ, err)
	}
	if path, _, err := Program("no-such-package", "/usr/bin/no-such-program"); err == nil {
		t.Errorf("a program that is nowhere is at %q", path)
	}
}
