//go:build soak

package test

import "testing"

// TestSoakScripts are the scripts that take long.
func TestSoakScripts(t *testing.T) { runScripts(t, "testdata/soak") }
