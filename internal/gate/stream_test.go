package gate

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// archive is a tar archive of one file of so many bytes, made as it is read, and the digest
// of the file.
func archiveOf(size int64) (io.Reader, hash.Hash) {
	r, w := io.Pipe()
	digest := sha256.New()
	go func() {
		t := tar.NewWriter(w)
		err := t.WriteHeader(&tar.Header{Name: "large", Mode: 0o644, Size: size})
		block := make([]byte, 1<<20)
		for i := range block {
			block[i] = byte(rand.Uint32())
		}
		for left := size; left > 0 && err == nil; left -= int64(len(block)) {
			block[0]++
			b := block[:min(left, int64(len(block)))]
			digest.Write(b)
			_, err = t.Write(b)
		}
		w.CloseWithError(errors.Join(err, t.Close()))
	}()
	return r, digest
}

// TestStreamLarge: archives go through by PUT, GET and save as they are, and the gate holds
// no more of them than it did of the first bytes.
func TestStreamLarge(t *testing.T) {
	t.Parallel()
	size, most := int64(64<<20), int64(16<<20)
	if thorough {
		size = 1 << 30
	}
	e := yard(t)
	p := run(t, e.Socket(), "--mode", "enforce")
	p.must("create", "--name", "large", "web:1")
	c := over(p.socket)
	defer c.CloseIdleConnections()
	before, _ := memory(t, p.cmd.Process.Pid)

	up, digest := archiveOf(size)
	if _, _, err := ask(t.Context(), c, "PUT", "/containers/large/archive?path=/", up); err != nil {
		t.Fatal(err)
	}
	want := digest.Sum(nil)
	if got := fileIn(t, c, "/containers/large/archive?path=/large", "large"); string(got) != string(want) {
		t.Errorf("GET gives another file: %x, not %x", got, want)
	}
	p.must("commit", "large", "large:1")
	if got := savedFile(t, c, "large:1", "large"); string(got) != string(want) {
		t.Errorf("save gives another file: %x, not %x", got, want)
	}
	_, peak := memory(t, p.cmd.Process.Pid)
	t.Logf("memory grew by %d KiB with three times %d MiB that went through", (peak-before)>>10, size>>20)
	if peak-before > most {
		t.Error("that is too much")
	}
}

// savedFile is the digest of a file in a layer of an image, as it is saved.
func savedFile(t *testing.T, c *http.Client, image, name string) []byte {
	t.Helper()
	answer, err := c.Get("http://docker/images/" + image + "/get")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var found []byte
	files := tar.NewReader(answer.Body)
	for {
		h, err := files.Next()
		if err == io.EOF {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(h.Name, ".tar") && !strings.HasPrefix(h.Name, "blobs/") {
			continue
		}
		layer := tar.NewReader(files)
		for {
			h, err := layer.Next()
			if err != nil { // its end, or it is no layer
				break
			}
			if h.Name == name {
				digest := sha256.New()
				if _, err := io.Copy(digest, layer); err != nil {
					t.Fatal(err)
				}
				found = digest.Sum(nil)
			}
		}
	}
}

// fileIn is the digest of a file in the archive that a request gives.
func fileIn(t *testing.T, c *http.Client, target, name string) []byte {
	t.Helper()
	answer, err := c.Get("http://docker" + target)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	r := tar.NewReader(answer.Body)
	for {
		h, err := r.Next()
		if err != nil {
			t.Fatalf("%s in %s: %v", name, target, err)
		}
		if h.Name == name {
			digest := sha256.New()
			if _, err := io.Copy(digest, r); err != nil {
				t.Fatal(err)
			}
			return digest.Sum(nil)
		}
	}
}

// TestStreamHalfClosed: what is sent to a program and what it says after the end of its
// input arrive whole, also where both go at once.
func TestStreamHalfClosed(t *testing.T) {
	t.Parallel()
	g := grounds(t, Enforce)
	g.must(t, "run", "-d", "--name", "half", "web:1", "sleep", "100000")
	input := make([]byte, 8<<20)
	for i := range input {
		input[i] = byte(rand.Uint32())
	}
	want := fmt.Sprintf("%x  -", sha256.Sum256(input))
	for _, tc := range []struct {
		name string
		args []string
	}{
		{"exec", []string{"exec", "-i", "half", "sha256sum"}},
		{"run", []string{"run", "--rm", "-i", "web:1", "sha256sum"}},
		{"both ways at once", []string{"exec", "-i", "half", "sh", "-c", "cat | cat | sha256sum"}},
	} {
		cmd := exec.CommandContext(t.Context(), debian, append([]string{"-H", "unix://" + g.socket}, tc.args...)...)
		cmd.Stdin = strings.NewReader(string(input))
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", tc.name, got, err, want)
		}
	}
	echo := exec.CommandContext(t.Context(), debian, "-H", "unix://"+g.socket, "exec", "-i", "half", "cat")
	echo.Stdin = strings.NewReader(string(input))
	if out, err := echo.Output(); err != nil || string(out) != string(input) {
		t.Errorf("what comes back from cat is not what was sent: %d bytes of %d, %v", len(out), len(input), err)
	}
}

// TestStreamSilent: a stream on which nothing comes for a while goes on, longer than
// anything in the gate waits.
func TestStreamSilent(t *testing.T) {
	t.Parallel()
	silence := 3 * time.Second
	if thorough {
		silence = 75 * time.Second
	}
	g := grounds(t, Enforce)
	g.must(t, "run", "-di", "--name", "silent", "web:1", "sh", "-c", "while read line; do echo $line; done")
	c := over(g.socket)
	defer c.CloseIdleConnections()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	logs := stream(ctx, t, c, "/containers/silent/logs?follow=1&stdout=1")
	events := stream(ctx, t, c, "/events?filters=%7B%22type%22%3A%5B%22volume%22%5D%7D")
	waits := make(chan string)
	go func() {
		_, body, err := ask(ctx, c, "POST", "/containers/silent/wait", nil)
		waits <- fmt.Sprint(strings.TrimSpace(body), err)
	}()
	attached := wireTo(t, "attach", g.socket, "Host: x", "Connection: Upgrade", "Upgrade: tcp")
	defer attached.close()
	_ = attached.c.SetDeadline(time.Now().Add(silence + patient))
	attached.text("POST", "POST /containers/silent/attach?stdin=1&stdout=1&stream=1 HTTP/1.1\r\n"+attached.fields+"\r\n")
	time.Sleep(silence)
	if _, err := io.WriteString(attached.c, "after a while\n"); err != nil {
		t.Error(err)
	}
	line, err := attached.r.ReadString('\n')
	if !strings.HasSuffix(line, "after a while\n") {
		t.Errorf("the attached client got %q, %v", line, err)
	}
	logs.expect(t, "after a while\n")
	g.must(t, "volume", "create", "silent")
	events.expect(t, `"Action":"create"`)
	g.must(t, "kill", "silent")
	if said := <-waits; !strings.HasPrefix(said, `{"Error":null,"StatusCode":137}`) && !strings.HasPrefix(said, `{"StatusCode":137`) {
		t.Errorf("wait gives %s", said)
	}
	if err := logs.wait(t); err != nil {
		t.Errorf("the logs end with %v", err)
	}
}

// TestStreamDeath: when one side of a stream is gone, so is the other.
func TestStreamDeath(t *testing.T) {
	t.Parallel()
	g := grounds(t, Enforce)
	g.must(t, "run", "-di", "--name", "alive", "web:1", "cat")
	for _, kind := range []struct {
		asks string // what docker's client asks for
		args []string
	}{
		{"/events ", []string{"events"}},
		{"/logs?", []string{"logs", "-f", "alive"}},
		{"/attach?", []string{"attach", "alive"}},
		{"/start ", []string{"exec", "-i", "alive", "cat"}},
		{"/wait", []string{"wait", "alive"}},
	} {
		for _, killed := range []bool{true, false} {
			name := kind.args[0]
			g.cutAt.forget()
			// Its input is open, so that it does not end by itself.
			stdin, hold, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), debian, append([]string{"-H", "unix://" + g.socket}, kind.args...)...)
			cmd.Stdin = stdin
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			stdin.Close()
			eventually(t, func() bool { return g.cutAt.asked(kind.asks) }, func() string { return name + " asks the engine" })
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			if killed {
				_ = cmd.Process.Kill()
			}
			// What is cut before the answer begins is asked once more, where that does no harm;
			// so it is cut until the client has ended.
			cut := time.NewTicker(quiet / 4)
			for end, over := time.After(patient), false; !over; {
				select {
				case <-ended:
					over = true
				case <-cut.C:
					if !killed {
						g.cutAt.cut()
					}
				case <-end:
					_ = cmd.Process.Kill()
					t.Errorf("%s does not notice that the engine is gone", name)
					<-ended
					over = true
				}
			}
			cut.Stop()
			hold.Close()
			eventually(t, func() bool { return g.cutAt.count() == 0 }, func() string { return fmt.Sprintf("no connection is left of %s; killed: %v", name, killed) })
		}
	}
	// Docker's client asks again and again for statistics.
	c := over(g.socket)
	defer c.CloseIdleConnections()
	stats := stream(t.Context(), t, c, "/containers/alive/stats")
	stats.expect(t, `"read"`)
	g.cutAt.cut()
	if err := stats.wait(t); err == nil {
		t.Error("a stream that was cut ends as if it were whole")
	}
	ctx, cancel := context.WithCancel(t.Context())
	stats = stream(ctx, t, c, "/containers/alive/stats")
	stats.expect(t, `"read"`)
	cancel()
	eventually(t, func() bool { return g.cutAt.count() == 0 }, func() string { return "nobody asks for statistics any more" })
	<-stats.ended
}
