package collect

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plimsoll/plimsoll/internal/facts"
)

// TestParseStep: one step as each builder writes it.
func TestParseStep(t *testing.T) {
	for text, want := range map[string]facts.ImageStep{
		"":                                     {},
		"/bin/sh -c #(nop) ADD file:abc in / ": {CreatedBy: "/bin/sh -c #(nop) ADD file:abc in /", Instruction: "ADD", Command: "file:abc in /"},
		`/bin/sh -c #(nop)  CMD ["bash"]`:      {CreatedBy: `/bin/sh -c #(nop)  CMD ["bash"]`, Instruction: "CMD", Command: `["bash"]`},
		"/bin/sh -c apt-get update":            {CreatedBy: "/bin/sh -c apt-get update", Instruction: "RUN", Command: "apt-get update"},
		"RUN /bin/sh -c apt-get update # buildkit":      {CreatedBy: "RUN /bin/sh -c apt-get update # buildkit", Instruction: "RUN", Command: "apt-get update"},
		"RUN /bin/bash -o pipefail -c a | b # buildkit": {CreatedBy: "RUN /bin/bash -o pipefail -c a | b # buildkit", Instruction: "RUN", Command: "a | b"},
		"RUN apt-get update":                            {CreatedBy: "RUN apt-get update", Instruction: "RUN", Command: "apt-get update"},
		"|2 A=one B=two words /bin/sh -c x":             {CreatedBy: "|2 A=*** B=*** /bin/sh -c x", Instruction: "RUN", Command: "x", Variables: []string{"A", "B"}},
		"RUN |2 TOKEN=abc EMPTY= /bin/sh -c echo $TOKEN # buildkit": {CreatedBy: "RUN |2 TOKEN=*** EMPTY= /bin/sh -c echo $TOKEN # buildkit",
			Instruction: "RUN", Command: "echo $TOKEN", Variables: []string{"TOKEN"}},
		"RUN |1 TOKEN=abc make all # buildkit": {CreatedBy: "RUN |1 TOKEN=*** *** # buildkit", Instruction: "RUN", Command: "***", Variables: []string{"TOKEN"}},
		"/bin/sh -c #(nop)  ENV A=b C=d e":     {CreatedBy: "/bin/sh -c #(nop)  ENV A=*** C=***", Instruction: "ENV", Command: "A=*** C=***", Variables: []string{"A", "C"}},
		"ENV DB_PASSWORD hunter2 x":            {CreatedBy: "ENV DB_PASSWORD ***", Instruction: "ENV", Command: "DB_PASSWORD ***", Variables: []string{"DB_PASSWORD"}},
		"ARG TOKEN":                            {CreatedBy: "ARG TOKEN", Instruction: "ARG", Command: "TOKEN"},
		"ARG TOKEN=abc":                        {CreatedBy: "ARG TOKEN=***", Instruction: "ARG", Command: "TOKEN=***", Variables: []string{"TOKEN"}},
		"sleep 2147483647":                     {CreatedBy: "sleep 2147483647", Command: "sleep 2147483647"},
		"ADD src dst # buildkit":               {CreatedBy: "ADD src dst # buildkit", Instruction: "ADD", Command: "src dst"},
		"#(nop) odd":                           {CreatedBy: "#(nop) odd", Command: "#(nop) odd"},
		"cmd /S /C #(nop)  USER web":           {CreatedBy: "cmd /S /C #(nop)  USER web", Instruction: "USER", Command: "web"},
	} {
		got, _ := parseStep(text)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
	for text, want := range map[string]bool{"|1 A=b make": true, "|1 A=b /bin/sh -c make": false, "make": false} {
		if _, endless := parseStep(text); endless != want {
			t.Errorf("%q: endless is %t", text, endless)
		}
	}
}

// TestRedacted: what looks like a secret is struck out and said, and what does not
// stays.
func TestRedacted(t *testing.T) {
	key := "-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY----- > k"
	for text, want := range map[string][3]string{
		"git clone https://ana:hunter2@git.example/a":          {"git clone https://ana:***@git.example/a", "", "a password in a URL"},
		"curl -u ana:hunter2 x":                                {"curl -u ana:*** x", "", "a password for curl"},
		"echo 'root:hunter2' | chpasswd":                       {"echo 'root:***' | chpasswd", "", "a password for chpasswd"},
		`curl -H "Authorization: Bearer hunter2" x`:            {`curl -H "Authorization: Bearer ***" x`, "", "an Authorization header"},
		"mysql -e \"CREATE USER a IDENTIFIED BY 'hunter2'\"":   {"mysql -e \"CREATE USER a IDENTIFIED BY '***'\"", "", "a password for a database"},
		"DB_PASSWORD=hunter2 ./install":                        {"DB_PASSWORD=*** ./install", "DB_PASSWORD", ""},
		`mysql --password="hunter 2" -e x`:                     {`mysql --password=*** -e x`, "--password", ""},
		"tool --api-key hunter2 go":                            {"tool --api-key *** go", "api-key", ""},
		"echo //npm.example/:_authToken=hunter2 > .npmrc":      {"echo //npm.example/:_authToken=*** > .npmrc", "_authToken", ""},
		"x ghp_0123456789abcdefghij0123456789abcdef y":         {"x *** y", "", "a token of GitHub"},
		"aws AKIAABCDEFGHIJKLMNOP":                             {"aws ***", "", "an access key of AWS"},
		"echo " + key:                                          {"echo -----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY----- > k", "", "a private key"},
		"curl https://git.example/a; wget https://x:8080/@foo": {"curl https://git.example/a; wget https://x:8080/@foo", "", ""},
		"git clone https://$USER:$TOKEN@git.example/a":         {"git clone https://$USER:$TOKEN@git.example/a", "", ""},
		"DB_PASSWORD=$SECRET ./install":                        {"DB_PASSWORD=$SECRET ./install", "", ""},
		"apt-get install libpam-passwdqc":                      {"apt-get install libpam-passwdqc", "", ""},
		"useradd -p x web; chown -u 1000:1000 /a":              {"useradd -p x web; chown -u 1000:1000 /a", "", ""},
		"docker run -u 1000:1000 x; cat /run/secrets/token":    {"docker run -u 1000:1000 x; cat /run/secrets/token", "", ""},
	} {
		out, names, found := redacted(text)
		if got := [3]string{out, strings.Join(names, ","), strings.Join(found, ",")}; strings.TrimLeft(got[1], "-") != strings.TrimLeft(want[1], "-") || got[0] != want[0] || got[2] != want[2] {
			t.Errorf("%q:\n got %q\nwant %q", text, got, want)
		}
	}
}

func TestLabelsWithoutSecrets(t *testing.T) {
	got := withoutSecretsIn(map[string]string{"source": "https://ana:hunter2@git.example/a", "api.token": "hunter2", "title": "a password: none", "empty": "", "x ghp_0123456789abcdefghij": "y"})
	want := map[string]string{"source": "https://ana:***@git.example/a", "api.token": "***", "title": "a password: ***", "empty": "", "x ghp_0123456789abcdefghij": "***"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestPackagesIn: names that are given to package managers, and no other words.
func TestPackagesIn(t *testing.T) {
	for command, want := range map[string]string{
		"apt-get update && apt-get install -y --no-install-recommends -t bookworm-backports curl ca-certificates=20230311 && rm -rf /x": "curl ca-certificates",
		"apk add --no-cache --virtual .build-deps gcc musl-dev":                                                                         "gcc musl-dev",
		"pip install --index-url https://x.example requests==2.31.0 'flask>=2'":                                                         "requests flask",
		"npm install -g @angular/cli@17 yarn":                                                                                           "@angular/cli yarn",
		"apt-get remove -y curl; apt install $PACKAGES ./a.deb":                                                                         "",
		"install -m 755 a /usr/bin/a":                                                                                                   "",
		"make install":                                                                                                                  "",
		"/usr/bin/apt-get -o A=b install vim \\ ":                                                                                       "vim",
		"apt-get install -t":                                                                                                            "",
		"pip install -r requirements.txt":                                                                                               "",
	} {
		if got := strings.Join(packagesIn(command), " "); got != want {
			t.Errorf("%q: %q, want %q", command, got, want)
		}
	}
}

// FuzzParseStep: a value that is given to a variable is nowhere in the step, and
// reading what was written changes nothing more.
func FuzzParseStep(f *testing.F) {
	for _, text := range []string{"", "ENV ", "ARG ", "|1 ", "RUN |1 ", "/bin/sh -c #(nop) ENV ", "/bin/sh -c ", "RUN /bin/sh -c x && ", "#(nop)"} {
		f.Add(text, " # buildkit")
		f.Add(text, " /bin/sh -c make")
	}
	const secret = "q7Zv9kPx"
	f.Fuzz(func(t *testing.T, before, after string) {
		if strings.Contains(before+after, secret) {
			t.Skip()
		}
		for _, text := range []string{"ENV A=" + secret + " " + after, "/bin/sh -c #(nop) ARG B=" + secret, "|1 C=" + secret + " " + after, "RUN |1 C=x " + secret + " /bin/sh -c " + after} {
			s, _ := parseStep(text)
			if strings.Contains(s.CreatedBy+s.Command+strings.Join(s.Variables, " ")+strings.Join(s.Secrets, " "), secret) {
				t.Errorf("%q keeps the value: %+v", text, s)
			}
		}
		s, _ := parseStep(before + "DB_PASSWORD=" + secret + " " + after)
		again, _ := parseStep(s.CreatedBy)
		if s.Instruction != again.Instruction {
			t.Errorf("%q is %q, and then %q", before+after, s.Instruction, again.Instruction)
		}
	})
}
