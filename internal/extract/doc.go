// Package extract finds the packages in an image, by what the files that tell of them say.
//
// [Finder.Wants] picks those files among the entries of a walk, [Finder.File] reads one and
// gives what it told ([Found]), and [Assemble] makes of what all layers told the packages
// that are there in the end. What a file tells depends on that file alone, so that it can be
// kept by layer.
//
// Files are read by the extractors of github.com/google/osv-scalibr, but for databases of
// RPM: its reader of these can end the process, and tells neither files nor modules. Which
// files count is decided here, for an image holds what is installed:
//
//   - the databases of dpkg (status, and the status.d of images without dpkg), apk and rpm;
//   - executables with Go's build information, or with what cargo auditable puts in;
//   - Java archives, and those in them;
//   - package.json where npm installs a package (node_modules/NAME), not those that packages
//     carry in their own folders. A lock file of npm, yarn or pnpm counts only where no
//     node_modules lies beside it, for then its packages were bundled into the program;
//   - METADATA and PKG-INFO of installed Python packages. requirements.txt, and lock files of
//     Python, Ruby, Rust, PHP and .NET, say what was to be installed, and do not count;
//   - specifications of installed gems, PHP's vendor/composer/installed.json and .NET's
//     *.deps.json.
//
// A package that a distribution installed with one of its own has that one as its owner:
// dpkg, apk and rpm say which files they installed.
//
// A file with several names, by hard links, tells under the first of them, or those that are
// left where that one is gone.
//
// The extractors are strangers' code over hostile bytes: what they panic about is told as a
// file that could not be read, and the work that a file makes is bounded here: its bytes, its
// records, and what it unpacks to. Of a Java archive, those in it are opened here, one at a
// time and large ones on disk.
package extract
