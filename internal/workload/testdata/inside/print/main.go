// Program print writes the Spec of the container that it runs in, and what is
// unseen of it, to standard output as JSON. Tests put it into containers. With
// an argument it stays running, as the container's own process.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/plimsoll/plimsoll/internal/workload"
)

func main() {
	s, err := workload.FromInside(workload.Inside{EnvKey: []byte("print")})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	err = json.NewEncoder(os.Stdout).Encode(struct {
		Spec   workload.Spec
		Unseen []workload.Unseen
	}{s, s.Unseen})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if len(os.Args) > 1 {
		time.Sleep(time.Hour)
	}
}
