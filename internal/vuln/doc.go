// Package vuln tells which versions of which packages have which known flaws.
//
// The data is OSV's (https://ossf.github.io/osv-schema/, 1.x): a zip of records for each
// ecosystem. [Folder.Import] compiles each into one file ([Compile]), which says nothing
// that its zip does not, and [Folder.Update] fetches it before; [Folder.Status] tells what
// is there; [Folder.Open] gives a [Set],
// whose [Set.Match] answers a [Query] with an [Answer]. [Open] opens one compiled file.
//
// That nothing was found is said only where the data could have told: no file, a release
// that no record knows, or a version that has no order is the third answer, with its reason
// ([Answer.NotEvaluated]), and so are records whose ranges cannot be read
// ([Answer.Undecided]).
//
// Versions are in the order of github.com/google/osv-scalibr/semantic. The package finds
// no packages in images, and knows nothing of what a user
// has accepted.
package vuln
