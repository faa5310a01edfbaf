// Command plimsoll judges Docker hosts and containers. See package cli.
package main

import "github.com/plimsoll/plimsoll/internal/cli"

func main() { cli.Main() }
