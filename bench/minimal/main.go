// Command minimal is what an audit is measured against: it makes the same
// calls to an engine as plimsoll does, in an order that any client could make
// them in, over as many connections, and does nothing with the answers.
//
// It reads paths from standard input, a line each, and asks for all of them
// over a unix socket:
//
//	minimal SOCKET CONNECTIONS < paths
//
// Calls run side by side, but for an empty line: what follows it is not asked
// for before the path in front of it is answered, as nobody can inspect
// containers before the list of them is there.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
)

func main() {
	if err := run(os.Args[1:], os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "minimal:", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader) error {
	if len(args) != 2 {
		return errors.New("usage: minimal SOCKET CONNECTIONS < paths")
	}
	connections, err := strconv.Atoi(args[1])
	if err != nil || connections < 1 {
		return fmt.Errorf("%q is not a number of connections", args[1])
	}
	text, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("reading paths: %w", err)
	}
	calls := parse(string(text))
	if len(calls) == 0 {
		return errors.New("no paths on standard input")
	}
	next := make(chan call)
	faults := make([]error, connections)
	var wg sync.WaitGroup
	for i := range connections {
		wg.Go(func() { faults[i] = ask(args[0], next) })
	}
	gaveUp := make(chan struct{})
	go func() {
		wg.Wait()
		close(gaveUp)
	}()
	hand(calls, next, gaveUp)
	wg.Wait()
	return errors.Join(faults...)
}

// call is one path. answered is nil where nothing waits for it.
type call struct {
	path     string
	answered chan struct{}
}

func parse(text string) []call {
	var calls []call
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line != "":
			calls = append(calls, call{path: line})
		case len(calls) > 0:
			calls[len(calls)-1].answered = make(chan struct{})
		}
	}
	return calls
}

// hand gives the calls to the connections, until gaveUp says that none is left.
func hand(calls []call, next chan<- call, gaveUp <-chan struct{}) {
	defer close(next)
	for _, c := range calls {
		select {
		case next <- c:
		case <-gaveUp:
			return
		}
		if c.answered == nil {
			continue
		}
		select {
		case <-c.answered:
		case <-gaveUp:
			return
		}
	}
}

// ask asks for paths over one connection that stays open.
func ask(socket string, calls <-chan call) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	for c := range calls {
		p := c.path
		if _, err := io.WriteString(conn, "GET "+p+" HTTP/1.1\r\nHost: docker\r\n\r\n"); err != nil {
			return fmt.Errorf("asking for %s: %w", p, err)
		}
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			return fmt.Errorf("reading the answer to %s: %w", p, err)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			return fmt.Errorf("reading the answer to %s: %w", p, err)
		}
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", p, answer.Status)
		}
		if c.answered != nil {
			close(c.answered)
		}
	}
	return nil
}
