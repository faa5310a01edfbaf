package gate

import (
	"os"
	"slices"
	"testing"
)

// everydayFiles are what commands find in their folder.
var everydayFiles = map[string]string{
	"src/a.txt":        "a\n",
	"src/deeper/b.txt": "b\n",
	"app/Dockerfile":   "FROM web:1\nARG WHO=nobody\nLABEL made=here\nCOPY a.txt /a.txt\nRUN echo $(cat /a.txt) built for $WHO\nCMD [\"cat\",\"/a.txt\"]\n",
	"app/a.txt":        "in the image\n",
	"app/Broken":       "FROM web:1\nRUN exit 7\n",
	"env":              "FROM_FILE=yes\n",
	"garbage":          "this is no archive",
}

// newer is the program of a newer client than Debian's, where there is one.
const newer = "/usr/local/bin/docker"

// byNewer are some commands of that one.
var byNewer = []step{
	{line: "newer version"},
	{line: "newer run --rm -i --name n1 web:1 cat", stdin: "through a newer client"},
	{line: "newer run -d --name n2 -p 8083:80 -v n:/data --memory 64m --annotation a=b web:1 sleep 100000"},
	{line: "newer exec n2 echo inside"},
	{line: "newer inspect n2"},
	{line: "newer build -q -t n:1 app", outside: true},
	{line: "newer cp src n2:/tmp"},
	{line: "newer rm -fv n2"},
	{line: "newer run --rm --name n3 --privileged web:1 true", refused: "(privileged, critical)"},
}

// TestFaithfulEveryday: what people type at docker every day gives the same with and
// without the gate, to the bytes on the wire.
func TestFaithfulEveryday(t *testing.T) {
	t.Parallel()
	steps := slices.Concat(interactive, everyday)
	if _, err := os.Stat(newer); err == nil {
		steps = slices.Concat(interactive, byNewer, everyday)
	}
	same(t, sides(t, debian, everydayFiles, Enforce), steps)
}

// TestFaithfulSDKs: so does what libraries and programs of others send.
func TestFaithfulSDKs(t *testing.T) {
	t.Parallel()
	same(t, sides(t, debian, everydayFiles, Enforce), sdks)
}

// TestFaithfulRefused: so does what is refused where something is enforced, and here is not.
func TestFaithfulRefused(t *testing.T) {
	t.Parallel()
	same(t, sides(t, debian, everydayFiles, Observe), refusedEveryday)
}

// TestFaithfulNewer does everything by the newer client.
func TestFaithfulNewer(t *testing.T) {
	if _, err := os.Stat(newer); err != nil || !thorough {
		t.Skip("only where there is a newer client, and in soak")
	}
	t.Parallel()
	same(t, sides(t, newer, everydayFiles), everyday)
}
