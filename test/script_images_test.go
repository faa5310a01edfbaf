package test

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/plimsoll/plimsoll/internal/image/imagetest"
	"github.com/plimsoll/plimsoll/internal/linking/linkingtest"
)

// hoarded is how many images a hoarding engine has.
const hoarded = 10_000

// hoard answers for ten thousand images. Every hundredth is one that the next 99
// were built on; every third runs as root, and every seventh has no name.
func hoard(f *fake) func(http.ResponseWriter, string) bool {
	return func(w http.ResponseWriter, path string) bool {
		if path == "/images/json" {
			fmt.Fprintf(w, `[{"Id":%q,"RepoTags":["bb:1"],"RepoDigests":[]}`, f.imageID())
			for n := range hoarded {
				fmt.Fprintf(w, `,{"Id":"sha256:%s","RepoTags":%s,"RepoDigests":[],"Size":80000000,"Created":1700000000}`, idOf(n+1), hoardedTags(n))
			}
			io.WriteString(w, "]")
			return true
		}
		id, isImage := strings.CutPrefix(path, "/images/sha256:")
		if !isImage {
			return false
		}
		var n int
		id, what, _ := strings.Cut(id, "/")
		if _, err := fmt.Sscanf(id, "%x", &n); err != nil || n < 1 || n > hoarded || id != idOf(n) {
			return false
		}
		if n--; what == "history" {
			w.Write(hoardedHistory(n))
			return true
		}
		user := ""
		if n%3 > 0 {
			user = "app"
		}
		layers := fmt.Sprintf("%q", "sha256:"+idOf(n-n%100))
		if n%100 > 0 {
			layers += fmt.Sprintf(",%q", "sha256:"+idOf(n))
		}
		fmt.Fprintf(w, `{"Id":"sha256:%s","RepoTags":%s,"RepoDigests":[],"Created":"2026-11-01T10:00:00Z","Size":80000000,"RootFS":{"Type":"layers","Layers":[%s]},
			"Config":{"User":%q,"Env":["PATH=/bin","API_TOKEN_%d=x"],"Labels":{"n":"%d"},"Cmd":["run"]}}`, idOf(n+1), hoardedTags(n), layers, user, n%5, n)
		return true
	}
}

func hoardedTags(n int) string {
	if n%7 == 6 {
		return "[]"
	}
	return fmt.Sprintf(`["registry.example:5000/team-%02d/service:%d"]`, n/100, n%100)
}

// hoardedHistory has the steps of the base, and ten of the image's own.
func hoardedHistory(n int) []byte {
	steps := []string{fmt.Sprintf(`{"Created":1700000000,"CreatedBy":"/bin/sh -c #(nop) ADD file:%d in / ","Size":70000000}`, n/100)}
	if n%100 > 0 {
		steps = append(steps, fmt.Sprintf(`{"Created":1700000001,"CreatedBy":"RUN /bin/sh -c apt-get update && apt-get install -y package-%d # buildkit","Size":10000000}`, n))
		for k := range 9 {
			steps = append(steps, fmt.Sprintf(`{"Created":1700000002,"CreatedBy":"ENV NAME_%d=value-%d # buildkit","Size":0}`, k, n))
		}
	}
	var b bytes.Buffer
	for k := range steps {
		b.WriteString(map[bool]string{true: "[", false: ","}[k == 0] + steps[len(steps)-1-k])
	}
	b.WriteString("]")
	return b.Bytes()
}

// falseImages answers with what no engine should: names that nobody should print,
// an id that is no digest, a history that is endless, and one that is no list.
func falseImages(f *fake) func(http.ResponseWriter, string) bool {
	const plain = `"RepoDigests":[],"Created":"2026-11-01T10:00:00Z","Size":1,"RootFS":{"Layers":["sha256:1"]},"Config":{"User":"","Env":null}}`
	return func(w http.ResponseWriter, path string) bool {
		switch path {
		case "/images/json":
			fmt.Fprintf(w, `[{"Id":%q},{"Id":"no-digest"},{"Id":"../../etc"},{"Id":""},{"Names":1},{"Id":"sha256:long"},{"Id":"sha256:odd"},{"Id":"sha256:text"}]`, f.imageID())
		case "/images/no-digest/json":
			io.WriteString(w, `{"Id":"no-digest","RepoTags":["a\u001b[2Jb\u202e:1"],`+plain)
		case "/images/sha256:long/json", "/images/sha256:odd/json":
			io.WriteString(w, `{"Id":"sha256:x","RepoTags":["x:1"],`+plain)
		case "/images/sha256:text/json":
			io.WriteString(w, `{"Id":[]}`)
		case "/images/sha256:long/history":
			io.WriteString(w, "["+strings.Repeat(`{"Created":1,"CreatedBy":"RUN x","Size":1},`, 99_999)+`{"Created":1,"CreatedBy":"RUN y","Size":1}]`)
		case "/images/sha256:odd/history":
			io.WriteString(w, `[{"CreatedBy":7},{}]`)
		case "/images/no-digest/history":
			io.WriteString(w, `[{"Created":-1,"CreatedBy":"RUN \u001b]0;x\u0007 curl -k https://example.org","Size":1}]`)
		default:
			return false
		}
		return true
	}
}

// cmdSaved writes an image as docker save does, a layer of each folder. A file that begins with
// "elf" is made a program that has what stands behind it: interp, soname and needs as loaders
// have them, and bytes more; one that begins with "bytes" has so many. Scripts can be run.
func cmdSaved(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) >= 3, "saved FILE ENTRYPOINT FOLDER…")
	var layers []imagetest.Layer
	for _, folder := range args[2:] {
		l := imagetest.Layer{}
		root := os.DirFS(ts.MkAbs(folder))
		ts.Check(fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := fs.ReadFile(root, name)
			l["/"+name] = made(ts, string(data))
			return err
		}))
		layers = append(layers, l)
	}
	var b bytes.Buffer
	ts.Check(imagetest.Write(&b, imagetest.Config{"created": "2026-11-01T00:00:00Z", "config": map[string]any{"Entrypoint": []string{args[1]}, "User": "app", "Env": []string{"PATH=/bin:/usr/bin"}},
		"history": []map[string]any{{"created_by": "ADD file:1 in /"}, {"created_by": `CMD ["sh"]`, "empty_layer": true}, {"created_by": "COPY app /app # buildkit"}}[:1+2*(len(layers)-1)]}, layers...))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b.Bytes(), 0o644))
}

// made is the content of a file that is told in words.
func made(ts *testscript.TestScript, text string) string {
	kind, words, _ := strings.Cut(strings.TrimSpace(text), " ")
	if strings.HasPrefix(text, "#!") {
		return "exec:" + text
	}
	if kind == "bytes" {
		return strings.Repeat("x", number(ts, words))
	}
	if kind != "elf" {
		return text
	}
	var f linkingtest.File
	for word := range strings.FieldsSeq(words) {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "interp":
			f.Interp = value
		case "soname":
			f.Soname = value
		case "needs":
			f.Needed = strings.Split(value, ",")
		case "bytes":
			f.Tail = strings.Repeat(f.Soname+"x", number(ts, value)/len(f.Soname+"x"))
		default:
			ts.Fatalf("%s is nothing of an ELF file", word)
		}
	}
	return "exec:" + f.Bytes()
}
