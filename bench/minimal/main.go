// Command minimal is what an audit is measured against: it makes the same
// calls to an engine as plimsoll does, over as many connections, and does
// nothing with the answers.
//
// It reads paths from standard input, a line each, and asks for all of them
// over a unix socket:
//
//	minimal SOCKET CONNECTIONS < paths
//
// It knows no order: where plimsoll waits for one answer before it can ask the
// next question, minimal does not. So it is a little faster than any client
// that has to learn from the engine what there is.
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
	paths := strings.Fields(string(text))
	if len(paths) == 0 {
		return errors.New("no paths on standard input")
	}
	next := make(chan string, len(paths))
	for _, p := range paths {
		next <- p
	}
	close(next)
	faults := make([]error, connections)
	var wg sync.WaitGroup
	for i := range connections {
		wg.Go(func() { faults[i] = ask(args[0], next) })
	}
	wg.Wait()
	return errors.Join(faults...)
}

// ask asks for paths over one connection that stays open.
func ask(socket string, paths <-chan string) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	for p := range paths {
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
	}
	return nil
}
