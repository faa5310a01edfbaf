// Package registry tells what is in repositories of a registry, tag by tag: [Look] makes a
// [Report] of which image each tag leads to, for which platforms, how large and how old it is,
// what it was built on, whether those who are trusted have signed it, when it was scanned, and
// whether the tag led to another image before.
//
// What it says of an image is the image's own word, but for its digests and who signed. What
// moved is told by what was seen here before ([Report.Compare], [Report.Keep]): a tag that
// moved away and back between two looks did not move.
//
// Signatures and lists of referrers that lie at tags of their own are counted, and no images.
// The package reads, and decides nothing: who signed is for package sign, what an image is like
// inside for package scan.
//
// Standards: OCI distribution specification 1.1 (tags, referrers tag schema), OCI image
// specification 1.1 (manifest, index, configuration, annotations).
package registry
