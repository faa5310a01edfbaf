package gate

import (
	"os"
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

// TestFaithfulEveryday: what people type at docker every day gives the same with and
// without the gate, to the bytes on the wire.
func TestFaithfulEveryday(t *testing.T) {
	t.Parallel()
	same(t, sides(t, debian, everydayFiles), everyday)
}

// TestFaithfulInteractive: terminals too.
func TestFaithfulInteractive(t *testing.T) {
	t.Parallel()
	same(t, sides(t, debian, everydayFiles), append(interactive, refusedEveryday...))
}

// TestFaithfulNewer is that of a newer client, where there is one.
func TestFaithfulNewer(t *testing.T) {
	const newer = "/usr/local/bin/docker"
	if _, err := os.Stat(newer); err != nil {
		t.Skip("there is no newer client at " + newer)
	}
	t.Parallel()
	same(t, sides(t, newer, everydayFiles), everyday)
}
