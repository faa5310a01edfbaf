// Package dct verifies Docker Content Trust, which is Notary v1: which image was signed as a
// tag of a repository, by a server of trust that is itself not trusted.
//
// In the order of use:
//
//   - [Trust] says which server is asked and whose root is trusted, [Options] where what was
//     seen is remembered.
//   - [Resolve] gives the [Target]: digest and length of the manifest, who signed it, and
//     until when that holds. [Target.Covers] compares it with what a registry has. [List]
//     gives all that was signed.
//   - [Error] is why there is none, with the step that refused.
//
// The form of the metadata is that of Notary 0.7 (its packages tuf/data and tuf/signed), which is
// The Update Framework 0.9 with names of its own; which roles count is what docker's client
// did until it lost Content Trust. From the root, which the policy or the first sight pins,
// keys lead to the timestamp, that names the snapshot, that names all others by length and
// hash. Nothing that was seen is taken in an older version again, nothing that has expired at
// the time that the caller gives, and a new root only if the one before has signed it.
//
// # More careful than docker
//
// What docker skips with a warning is refused here: a list of targets/releases that is
// expired or wrongly signed, since an older tag in targets would count instead, and one that
// the snapshot leaves out after it was seen. Another document of a version that was seen is
// refused too. A key counts once for a threshold, whatever certificates it has. Metadata that
// was read before is not taken where the server does not answer.
//
// # Why not Notary's own client
//
// It is archived, takes the time from the clock of the machine, keeps a cache of its own that
// it skips where that is damaged, reads up to 100 MiB a document with a JSON reader of its
// own that takes keys twice, logs, and names some fifty modules. What is needed of it is
// little: metadata of three forms, and four kinds of signatures, which the standard library
// has.
//
// Signing, changing and publishing are left to the notary program.
package dct
