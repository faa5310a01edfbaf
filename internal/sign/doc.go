// Package sign says who must vouch for an image, and whether they do: [ReadPolicy] reads what
// images of a name need, [Policy.For] finds the entry that counts for one.
//
// Verifying kinds of signatures is for packages of their own.
package sign
