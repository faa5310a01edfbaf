package lab

import (
	"os"
	"path/filepath"
	"strings"
)

// Compose gives docker-compose 1.29 of Debian's package, installed or unpacked: the program
// with its first argument, and what to add to its environment.
func Compose(t T) (program, environ []string) {
	t.Helper()
	script, environ, err := Program("docker-compose", "/usr/bin/docker-compose")
	var python string
	if err == nil {
		python, _, err = Program("docker-compose", "/usr/bin/python3")
	}
	switch {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatalf("%v", err)
	case err != nil:
		t.Skipf("%v", err)
	}
	tree := strings.TrimSuffix(script, "/usr/bin/docker-compose")
	return []string{python, script}, append(environ, "PYTHONPATH="+filepath.Join(tree, "/usr/lib/python3/dist-packages"))
}
