// Package sign says who must vouch for an image, and whether they do: [ReadPolicy] reads what
// images of a name need, [Policy.For] finds the entry that counts for one. [Verifier] looks for
// what vouches for an image, and [Policy.Decide] says whether it suffices: enough signers
// ([Signed]), and each attestation that is wanted ([Attested]), whose expression is of package
// cel. What a tag was trusted for is remembered in package verdict, and what is older refused.
// [Lint] finds what is probably wrong in a policy.
//
// Verifying kinds of signatures is for packages of their own.
package sign
