package waiver

import (
	"strings"
	"testing"
)

var another = Waiver{Rule: "privileged", Subject: "ci-*", Element: "/srv: x", Reason: "builds images: no other way yet", Owner: "bo", Expires: "2027-03-01"}

const anotherItem = `- rule: privileged
  subject: ci-*
  element: '/srv: x'
  reason: 'builds images: no other way yet'
  owner: bo
  expires: "2027-03-01"
`

func indent(text string, spaces int) string {
	pad := strings.Repeat(" ", spaces)
	return pad + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n"+pad) + "\n"
}

func TestAdd(t *testing.T) {
	one := with("", "")
	flush := strings.ReplaceAll(strings.ReplaceAll(one, "\n  ", "\n"), "  - ", "- ")
	for name, test := range map[string]struct{ text, want string }{
		"nothing yet":    {"", "schema: plimsoll/waivers/1\nwaivers:\n" + indent(anotherItem, 2)},
		"one":            {one, one + indent(anotherItem, 2)},
		"no indent":      {flush, flush + anotherItem},
		"comments":       {"# ours\n" + one + "# the end\n", "# ours\n" + one + "# the end\n" + indent(anotherItem, 2)},
		"no end of line": {strings.TrimSuffix(one, "\n"), one + indent(anotherItem, 2)},
		"an empty list":  {"schema: plimsoll/waivers/1\nwaivers: # none yet\n", "schema: plimsoll/waivers/1\nwaivers: # none yet\n" + indent(anotherItem, 2)},
		"no list":        {"schema: plimsoll/waivers/1\n", "schema: plimsoll/waivers/1\nwaivers:\n" + indent(anotherItem, 2)},
		"a long reason":  {strings.Replace(one, "it is measured next month", "|\n      it is measured\n      next month", 1), strings.Replace(one, "it is measured next month", "|\n      it is measured\n      next month", 1) + indent(anotherItem, 2)},
	} {
		got, err := Add("w", []byte(test.text), another)
		if err != nil || string(got) != test.want {
			t.Errorf("%s: %v\n%s", name, err, got)
		}
	}
}

func TestAddRefuses(t *testing.T) {
	one := with("", "")
	lines := strings.SplitAfterN(one, "\n", 2)
	for name, test := range map[string]struct {
		text   string
		change func(w *Waiver)
		want   string
	}{
		"the same":     {one, func(w *Waiver) { w.Rule, w.Subject, w.Element = "memory-unlimited", "web-*", "" }, `w line 3: "rule" is waived here already`},
		"no owner":     {one, func(w *Waiver) { w.Owner = " " }, "the waiver's owner is missing"},
		"no date":      {"", func(w *Waiver) { w.Expires = "soon" }, `the waiver's expires is no date: "soon"`},
		"brackets":     {"schema: plimsoll/waivers/1\nwaivers: []\n", nil, `w line 2: the waivers are written in brackets`},
		"not the end":  {lines[1] + lines[0], nil, "w: the waivers do not end the file"},
		"a wrong file": {"schema: x\n", nil, `w line 1, column 9: "schema" is not plimsoll/waivers/1`},
	} {
		w := another
		if test.change != nil {
			test.change(&w)
		}
		got, err := Add("w", []byte(test.text), w)
		if err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%s: %v\n%s", name, err, got)
		}
	}
	// The same for another mount is another one.
	w := another
	w.Rule, w.Subject = "memory-unlimited", "web-*"
	if _, err := Add("w", []byte(one), w); err != nil {
		t.Error(err)
	}
}

// What is added is read back, behind all that was there, which stays as it was.
func FuzzAdd(f *testing.F) {
	f.Add([]byte(with("", "")), "a: b", "web-*", "#")
	f.Add([]byte("schema: plimsoll/waivers/1\n"), "- x", "'", "\n\n ")
	f.Fuzz(func(t *testing.T, data []byte, rule, subject, reason string) {
		w := Waiver{Rule: rule, Subject: subject, Reason: reason, Owner: "ana", Expires: "2027-02-01"}
		text, err := Add("w", data, w)
		if err != nil {
			return
		}
		file, err := Read("w", text)
		if err != nil || len(file.Waivers) == 0 || !file.Waivers[len(file.Waivers)-1].says(&w) {
			t.Fatalf("%v: %q", err, text)
		}
		if !strings.HasPrefix(string(text), string(data)) && strings.TrimSpace(string(data)) != "" {
			t.Fatalf("%q became %q", data, text)
		}
	})
}
