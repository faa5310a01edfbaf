// Package rules holds plimsoll's own rules, one YAML file each, in a folder
// named after the subject. It is knowledge, not code: package rule reads it.
package rules

import "embed"

// Files are the rules.
//
//go:embed container daemon
var Files embed.FS
