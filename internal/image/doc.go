// Package image reads a container image from wherever it is, once, as a stream, without
// running it and without trusting it.
//
// In the order of use:
//
//   - [Parse] reads a [Reference]: docker-archive:FILE, oci-archive:FILE, oci:DIR, dir:PATH,
//     or the name of an image of the engine.
//   - [Open] opens what is in files, [Stream] a docker-archive that an engine sends. Either
//     gives an [Image]: its configuration, its digests and its layers.
//   - [Image.Walk] gives each [Entry] of each layer to a function, in order, with its
//     content as a stream, and in the end the [View]: what of all that is still there, and
//     what each layer loses to those above it.
//
// The standards are the OCI image specification 1.1 (manifest.md, config.md, layer.md,
// image-layout.md), the form that docker save has written since 1.10, POSIX.1-2001 tar with
// GNU's and PAX's extensions as archive/tar reads them, RFC 1952 and RFC 8878.
//
// # What is believed
//
// Nothing is. Each document and each layer must have the digest that it is named by, and
// each layer, unpacked, the diff id that the configuration has. A layer's digest is known
// at its end only, after its entries were given away: what came of them counts when Walk
// returned without an error.
//
// No path leaves the image's root, whatever an archive says: a name that would is an error,
// and links are followed inside the root. Nothing is unpacked: devices are entries like
// others. [Limits] bounds what is read, kept and spooled. An image that the engines refuse
// to unpack, or that two of them could read differently, is an error.
//
// # Layers
//
// Whiteouts act on the layers below, wherever in their layer they are. A folder's entry
// keeps what the folder has; any other takes the place of what is there, with all below it.
// An entry below a link that the same layer made goes where the link leads, as when an
// engine unpacks it; a link of a layer below gives way to a folder. Extended attributes of
// overlayfs in a layer hide nothing: what engines make of them differs, and it is better to
// see a file that is hidden than the other way round.
//
// Names are kept byte for byte: whoever shows them makes them harmless.
package image
