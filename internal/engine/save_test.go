package engine

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"time"
)

// TestImageSave: an image comes as it is, however long the engine needs before it begins;
// one that breaks off is an error, and so is one that is not there.
func TestImageSave(t *testing.T) {
	for _, tc := range []struct {
		name          string
		status        int
		cut           bool
		message, hint string
	}{
		{"whole", 200, false, "", ""},
		{"cut off", 200, true, "went away in the middle", "systemctl status docker"},
		{"not there", 404, false, "No such image", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := startFake(t, func(w http.ResponseWriter, _ *http.Request) {
				if tc.status != 200 {
					say(tc.status, `{"message":"No such image"}`)(w, nil)
					return
				}
				time.Sleep(150 * time.Millisecond)
				io.WriteString(w, "the ")
				w.(http.Flusher).Flush()
				time.Sleep(150 * time.Millisecond)
				if tc.cut {
					panic(http.ErrAbortHandler)
				}
				io.WriteString(w, "image")
			})
			c := clientOf(t, Config{Endpoint: f.endpoint(), Timeout: 100 * time.Millisecond})
			body, err := c.ImageSave(t.Context(), "app:1")
			var data []byte
			if err == nil {
				data, err = io.ReadAll(body)
				body.Close()
			}
			if tc.message != "" {
				wantError(t, err, tc.message, tc.hint)
				if errors.Is(err, ErrNotFound) != (tc.status == 404) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil || string(data) != "the image" {
				t.Errorf("%q, %v", data, err)
			}
			if last := f.requests()[1]; last != "/v1.41/images/app:1/get" {
				t.Errorf("asked for %q", last)
			}
		})
	}
}
