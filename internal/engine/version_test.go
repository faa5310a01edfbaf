package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A ping is enough where it names the version to use. Else /version, which
// alone tells how old a version may be, is asked before anything else.
func TestAgree(t *testing.T) {
	for _, tc := range []struct {
		name, version, pin, want string
		first                    bool // /version is asked first
	}{
		{"the oldest", `{"ApiVersion":"1.40","MinAPIVersion":"1.12"}`, "", "1.40", false},
		{"an older engine", version2010, "", "1.41", false},
		{"the same age", `{"ApiVersion":"1.56","MinAPIVersion":"1.40"}`, "", "1.56", false},
		{"a newer engine", `{"ApiVersion":"1.60","MinAPIVersion":"1.44"}`, "", "1.56", true},
		{"a much newer engine", `{"ApiVersion":"2.0","MinAPIVersion":"1.56"}`, "", "1.56", true},
		{"without a minimum", `{"ApiVersion":"1.43"}`, "", "1.43", false},
		{"pinned", version2010, "1.40", "1.40", true},
		{"pinned to what it speaks", version2010, "1.41", "1.41", false},
		{"pinned, with a v", version2010, "v1.41", "1.41", false},
		{"1.9 is not after 1.41", `{"ApiVersion":"1.41","MinAPIVersion":"1.9"}`, "", "1.41", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := startFake(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"ID":"x"}`)) })
			f.version = tc.version
			ep := f.endpoint()
			ep.APIVersion = tc.pin
			c := clientOf(t, Config{Endpoint: ep})
			if _, err := c.Info(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got, err := c.API(t.Context()); err != nil || got != tc.want {
				t.Errorf("got %q (%v), want %q", got, err, tc.want)
			}
			for range 2 {
				raw, err := c.Version(t.Context())
				if err != nil || string(raw) != tc.version {
					t.Errorf("Version is %s (%v)", raw, err)
				}
			}
			want := []string{"/_ping", "/v" + tc.want + "/info", "/version"}
			if tc.first {
				want[1], want[2] = want[2], want[1]
			}
			if diff := cmp.Diff(want, f.requests()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAgreeRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, version, pin, message, hint string
		later                             bool // the ping gives no reason to refuse
	}{
		{"too old", `{"Version":"18.06.3-ce","ApiVersion":"1.38","MinAPIVersion":"1.12"}`, "",
			"(Docker 18.06.3-ce) is too old: it speaks API 1.38, and plimsoll needs 1.40", "19.03", false},
		{"1.9 is not after 1.40", `{"ApiVersion":"1.9"}`, "", "too old", "19.03", false},
		{"too new", `{"Version":"40.0","ApiVersion":"1.70","MinAPIVersion":"1.57"}`, "",
			"is too new: it takes API 1.57 and above", "Upgrade plimsoll", false},
		{"pinned above the engine", version2010, "1.42", "DOCKER_API_VERSION is 1.42, and the engine", "Unset", false},
		{"pinned below the engine", `{"ApiVersion":"1.52","MinAPIVersion":"1.44"}`, "1.43", "speaks only 1.44 to 1.52", "Unset", false},
		{"no version", `{"Version":"20.10"}`, "", `its ApiVersion is ""`, "Something else listens", true},
		{"an escape sequence", `{"ApiVersion":"1.\u001b[31m"}`, "", `1.\\x1b[31m`, "Something else listens", true},
		{"a leading zero", `{"ApiVersion":"1.041"}`, "", "not a Docker engine", "Something else listens", true},
		{"a wrong minimum", `{"ApiVersion":"1.41","MinAPIVersion":"old"}`, "", `its MinAPIVersion is "old"`, "Something else listens", true},
		{"a number", `{"ApiVersion":1.41}`, "", "not a Docker engine", "Something else listens", true},
		{"a list", `[]`, "", "not a Docker engine", "Something else listens", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := startFake(t, nil)
			f.version = tc.version
			ep := f.endpoint()
			ep.APIVersion = tc.pin
			c := clientOf(t, Config{Endpoint: ep})
			if !tc.later {
				_, err := c.ContainerList(t.Context())
				wantError(t, err, tc.message, tc.hint)
				if diff := cmp.Diff([]string{"/_ping", "/version"}, f.requests()); diff != "" {
					t.Errorf("a refused engine was asked on: %s", diff)
				}
			}
			_, err := c.Version(t.Context())
			wantError(t, err, tc.message, tc.hint)
		})
	}
}

// An engine that says one version to a ping and another one later is none.
func TestAgreeWithOneEngine(t *testing.T) {
	for version, message := range map[string]string{
		version2010: "",
		`{"ApiVersion":"1.43","MinAPIVersion":"1.24"}`: "it speaks API 1.41 in one answer and 1.43 in another",
		`{"ApiVersion":"1.39","MinAPIVersion":"1.12"}`: "too old",
	} {
		f := startFake(t, nil)
		c := f.client()
		if _, err := c.API(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.version = version
		_, err := c.Version(t.Context())
		if message != "" {
			wantError(t, err, message, "")
		} else if err != nil {
			t.Errorf("%s: %v", version, err)
		}
	}
}

func TestNewRefusesPin(t *testing.T) {
	_, err := New(Config{Endpoint: Endpoint{Address: "unix:///a", APIVersion: "1.4x"}})
	wantError(t, err, "which is not a version such as 1.41", "Unset")
}

func TestPing(t *testing.T) {
	f := startFake(t, nil)
	got, err := f.client().Ping(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Pong{APIVersion: "1.41", OSType: "linux"}, got); diff != "" {
		t.Error(diff)
	}
}

// Many calls at once agree once.
func TestAgreeOnce(t *testing.T) {
	f := startFake(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`[]`)) })
	c := f.client()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := c.ContainerList(t.Context()); err != nil {
				t.Error(err)
			}
			if _, err := c.Version(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	count := map[string]int{}
	for _, r := range f.requests() {
		count[r]++
	}
	want := map[string]int{"/_ping": 1, "/version": 1, "/v1.41/containers/json?all=1": 50}
	if diff := cmp.Diff(want, count); diff != "" {
		t.Error(diff)
	}
}

// A failure to agree is not remembered: the engine may just be starting.
func TestAgreeAgain(t *testing.T) {
	f := startFake(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"ID":"x"}`)) })
	f.version = `{"ApiVersion":"1.20"}`
	c := f.client()
	if _, err := c.Info(t.Context()); err == nil {
		t.Fatal("an engine of API 1.20 was taken")
	}
	f.version = version2010
	if _, err := c.Info(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// One who waits for another's agreement can still be called off.
func TestAgreeCalledOff(t *testing.T) {
	f := startFake(t, nil)
	c := f.client()
	c.turn <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.API(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	<-c.turn
	if _, err := c.API(t.Context()); err != nil {
		t.Error(err)
	}
}

// Whatever an engine says of its versions, the one chosen is one that both
// sides speak.
func FuzzChoose(f *testing.F) {
	f.Add([]byte(version2010), "")
	f.Add([]byte(`{"ApiVersion":"1.60","MinAPIVersion":"1.44"}`), "1.45")
	f.Add([]byte(`{"ApiVersion":"2.1","apiversion":"1.1"}`), "1.40")
	f.Fuzz(func(t *testing.T, raw []byte, pin string) {
		p, err := parsePin(pin)
		if err != nil {
			return
		}
		c := &Client{pin: p}
		got, err := c.choose(request{path: "/version"}, raw)
		if err != nil {
			return
		}
		var said struct{ APIVersion, MinAPIVersion string }
		decoded := map[string]json.RawMessage{}
		if err := json.Unmarshal(raw, &decoded); err != nil {
			t.Fatalf("%q is not an object, and was taken", raw)
		}
		if err := json.Unmarshal(raw, &struct {
			A *string `json:"ApiVersion"`
			M *string `json:"MinAPIVersion"`
		}{&said.APIVersion, &said.MinAPIVersion}); err != nil {
			t.Fatal(err)
		}
		var major, minor int
		if n, err := fmt.Sscanf(said.APIVersion, "%d.%d", &major, &minor); n != 2 || err != nil {
			t.Fatalf("%q was taken", said.APIVersion)
		}
		order := func(v ...int) int { return slices.Compare([]int{got.major, got.minor}, v) }
		if order(major, minor) > 0 || order(1, 40) < 0 || order(1, 56) > 0 {
			t.Fatalf("%s: chose %s", raw, got)
		}
		if n, _ := fmt.Sscanf(said.MinAPIVersion, "%d.%d", &major, &minor); n == 2 && order(major, minor) < 0 {
			t.Fatalf("%s: chose %s", raw, got)
		}
		if p != nil && got != *p {
			t.Fatalf("%s: chose %s, pinned %s", raw, got, p)
		}
	})
}
