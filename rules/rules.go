// Package rules holds plimsoll's own rules, one YAML file each, in a folder
// named after the subject, and packed.json, which is made of them. It is
// knowledge, not code: package rule reads it.
package rules

import "embed"

//go:generate go run ./pack .

// Files are the rules.
//
//go:embed container daemon packed.json
var Files embed.FS
