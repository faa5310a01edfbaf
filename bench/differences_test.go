package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDiffers(t *testing.T) {
	for _, tc := range []struct {
		id           string
		theirs, ours verdict
		want         bool
	}{
		{"5.5", verdict{"WARN", []string{"a", "b:seen"}}, verdict{"fail", []string{"b", "a", "a"}}, false},
		{"5.5", verdict{"WARN", []string{"a"}}, verdict{"fail", []string{"a", "b"}}, true},
		{"5.5", verdict{"WARN", nil}, verdict{"fail", []string{"a"}}, false}, // it names none
		{"4.1", verdict{"WARN", []string{"a"}}, verdict{"fail", []string{"image"}}, false},
		{"2.2", verdict{"WARN", nil}, verdict{"pass", nil}, true},
		{"2.2", verdict{"PASS", nil}, verdict{"pass", nil}, false},
		{"7.1", verdict{"PASS", nil}, verdict{"not_applicable", nil}, false},
		{"3.1", verdict{"INFO", nil}, verdict{"not_applicable", nil}, false},
		{"1.2.1", verdict{"NOTE", nil}, verdict{"manual", nil}, false},
		{"5.9", verdict{"NOTE", nil}, verdict{"pass", nil}, true},
	} {
		if got := differs(tc.id, tc.theirs, tc.ours); got != tc.want {
			t.Errorf("%s: %v against %v: %v", tc.id, tc.theirs, tc.ours, got)
		}
	}
}

func TestDifferencesPage(t *testing.T) {
	theirs := map[string]verdict{"2.2": {"WARN", nil}, "5.5": {"WARN", []string{"a", "c"}}, "5.10": {"PASS", nil}, "5.9": {"PASS", nil}, "8.1": {"NOTE", nil}, "1.1": {"WARN", nil}}
	ours := map[string]verdict{"2.2": {"fail", nil}, "5.5": {"fail", []string{"a", "b"}}, "5.10": {"fail", []string{"h"}}, "5.9": {"fail", []string{"p"}}, "6.3": {"pass", nil}, "5.30": {"fail", []string{"a"}}}
	theirs["5.30"] = verdict{"INFO", []string{"0123"}}
	reasons := map[string]string{"5.5": "it looks at\nwhat runs", "5.9": "x", "2.2": "nothing", "6.3": "it is newer", "5.30": "y"}
	text, wrong := differencesPage(&differHost{}, theirs, ours, reasons)
	_, table, _ := strings.Cut(text, "|---|---|---|---|\n")
	want := `| 5.5 | WARN, also c | fail, also b | it looks at what runs |
| 5.9 | PASS | fail: p | x |
| 5.10 | PASS | fail: h |  |
| 5.30 | INFO | fail: a | y |
| 6.3 | nothing | pass | it is newer |

1 recommendations get one verdict from both.
`
	if diff := cmp.Diff(want, table); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"1.1: plimsoll says nothing", "2.2: a reason for what does not differ", "5.10: no reason is given: PASS [], fail [h]"}, wrong); diff != "" {
		t.Error(diff)
	}
}

func TestCompareIDs(t *testing.T) {
	ids := []string{"5.10", "1.1.3", "5.9", "1.1", "c.2"}
	slices.SortFunc(ids, compareIDs)
	if diff := cmp.Diff([]string{"1.1", "1.1.3", "5.9", "5.10", "c.2"}, ids); diff != "" {
		t.Error(diff)
	}
}

// TestDifferencesHost: what the page is made on is as it says.
func TestDifferencesHost(t *testing.T) {
	var h differHost
	if err := decodeStrictly(hostFile, &h); err != nil {
		t.Fatal(err)
	}
	if len(h.Containers) != 30 {
		t.Errorf("%d containers", len(h.Containers))
	}
	for _, c := range h.Containers {
		if !slices.ContainsFunc(strings.Fields(c.Run), func(word string) bool { return h.Images[word] != nil }) {
			t.Errorf("%s is of no image in the file", c.Name)
		}
	}
}
