// Package sign says who must vouch for an image, and whether they do: [ReadPolicy] reads what
// images of a name need, [Policy.For] finds the entry that counts for one. [Verifier] looks for
// signatures and decides; what a tag was trusted for it remembers in package verdict, and refuses
// what is older.
//
// Verifying kinds of signatures is for packages of their own.
package sign
