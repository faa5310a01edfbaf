// Package secret finds the secrets that are left in an image: in the files of each layer,
// also those that a later layer deletes or overwrites, and in its configuration.
//
// In the order of use:
//
//   - New makes a Detector, with bounds.
//   - Detector.File looks at an entry of a layer, Detector.Config at a configuration.
//     Both give Found: each Secret, and what was not looked at.
//
// A Secret never has its value, nor a hash of it.
//
// The rules are those of gitleaks 8.30.1, with its keywords, entropies and allowlists, in
// packed.go, which Command pack makes of the file beside it. Beyond them are files in which
// programs are known to keep credentials, names that sound like a secret's, and commands
// that are given one (package redact); a private key has to be one when decoded (RFC 7468,
// RFC 1421, OpenSSH's PROTOCOL.key, RFC 9580, PuTTY's format).
//
// # Why not gitleaks itself
//
// Its detector takes 20 seconds of processor time for the text in a layer of Debian, 33 MB,
// since nearly each file has a keyword of some rule, whose pattern then goes over the whole
// file; what is here takes 0.2 seconds for that layer, and finds the same. A program of the
// detector alone has 8.9 MB and needs 50 ms of processor time before it begins, most of it
// for 222 patterns, of which few are ever used; here a pattern is compiled when a keyword of
// it was found where it may match, and is tried around the keyword only.
//
// # What is not looked at
//
// Binary files, which have a zero byte in their first 8 KiB and no mark of UTF-16, are not,
// whatever text is in them; nor is what is compressed. Folders that only packages of
// distributions fill are passed over, and so are the paths that gitleaks allows, such as
// node_modules, but for files that are known to hold credentials. Of a long file the
// beginning is read, and of one that has too much that looks like a secret not all is tried;
// Found says so. A pattern without a bound reaches 8 KiB. Whether a
// secret still works is not tried.
package secret

//go:generate go run ./pack .
