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
		`/bin/ash -o pipefail -c #(nop)  ENV PLAIN=hunter2`: {CreatedBy: `/bin/ash -o pipefail -c #(nop)  ENV PLAIN=***`, Instruction: "ENV", Command: "PLAIN=***", Variables: []string{"PLAIN"}},
		"sh -c #(nop) ADD file:abc in /":                    {CreatedBy: "sh -c #(nop) ADD file:abc in /", Instruction: "ADD", Command: "file:abc in /"},
		"/bin/ash --login -c #(nop)  ARG TOKEN=hunter2":     {CreatedBy: "/bin/ash --login -c #(nop)  ARG TOKEN=***", Instruction: "ARG", Command: "TOKEN=***", Variables: []string{"TOKEN"}},
		"/my/own thing #(nop)  USER web":                    {CreatedBy: "/my/own thing #(nop)  USER web", Instruction: "USER", Command: "web"},
		"/bin/sh -c echo '#(nop) ' ADD x":                   {CreatedBy: "/bin/sh -c echo '#(nop) ' ADD x", Instruction: "RUN", Command: "echo '#(nop) ' ADD x"},
		"/bin/sh -c echo #(nop)  ADD x":                     {CreatedBy: "/bin/sh -c echo #(nop)  ADD x", Instruction: "RUN", Command: "echo #(nop)  ADD x"},
		"/bin/ash -o pipefail -c apt-get update":            {CreatedBy: "/bin/ash -o pipefail -c apt-get update", Instruction: "RUN", Command: "apt-get update"},
		"/bin/bash -euxo pipefail -c apt-get update":        {CreatedBy: "/bin/bash -euxo pipefail -c apt-get update", Instruction: "RUN", Command: "apt-get update"},
		"sh -c apt-get update":                              {CreatedBy: "sh -c apt-get update", Instruction: "RUN", Command: "apt-get update"},
		"/bin/env sh -c apt-get update":                     {CreatedBy: "/bin/env sh -c apt-get update", Instruction: "RUN", Command: "apt-get update"},
		"powershell -NoLogo -Command $a = 1; Get-Item":      {CreatedBy: "powershell -NoLogo -Command $a = 1; Get-Item", Instruction: "RUN", Command: "$a = 1; Get-Item"},
		"|1 A=b pwsh -Command Get-Item":                     {CreatedBy: "|1 A=*** pwsh -Command Get-Item", Instruction: "RUN", Command: "Get-Item", Variables: []string{"A"}},
		"|1 A=x sh -c hunter2 /bin/sh -c make":              {CreatedBy: "|1 A=*** /bin/sh -c make", Instruction: "RUN", Command: "make", Variables: []string{"A"}},
		"ONBUILD ENV PLAIN=hunter2":                         {CreatedBy: "ONBUILD ENV PLAIN=***", Instruction: "ONBUILD", Command: "ENV PLAIN=***", Variables: []string{"PLAIN"}},
		"/bin/sh -c #(nop)  ONBUILD ARG TOKEN=hunter2":      {CreatedBy: "/bin/sh -c #(nop)  ONBUILD ARG TOKEN=***", Instruction: "ONBUILD", Command: "ARG TOKEN=***", Variables: []string{"TOKEN"}},
		"ONBUILD RUN make":                                  {CreatedBy: "ONBUILD RUN make", Instruction: "ONBUILD", Command: "RUN make"},
		"LABEL db.password=hunter2 hunter3 a=b c":           {CreatedBy: "LABEL db.password=*** a=b c", Instruction: "LABEL", Command: "db.password=*** a=b c"},
		`ENTRYPOINT ["srv","--password","hunter2"]`:         {CreatedBy: "ENTRYPOINT srv --password ***", Instruction: "ENTRYPOINT", Command: "srv --password ***", Secrets: []string{"a value of --password"}},
		`/bin/sh -c #(nop)  CMD ["redis-server","--requirepass","hunter2"]`: {CreatedBy: "/bin/sh -c #(nop)  CMD redis-server --requirepass ***", Instruction: "CMD", Command: "redis-server --requirepass ***",
			Secrets: []string{"a value of --requirepass"}},
		"cmd /S /C #(nop)  USER web": {CreatedBy: "cmd /S /C #(nop)  USER web", Instruction: "USER", Command: "web"},
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
