// Package image reads a container image from wherever it is, once, as a stream, without
// running it and without trusting it.
//
// In the order of use:
//
//   - [Parse] reads a [Reference]: docker-archive:FILE, oci-archive:FILE, oci:DIR, dir:PATH,
//     registry:NAME, or the name of an image of the engine. [List] tells which images of a
//     registry one with a * stands for.
//   - [Open] opens what is in files or in a registry, [Stream] a docker-archive that an
//     engine sends. Either gives an [Image]: its configuration, its digests and its layers.
//   - [Image.Walk] gives each [Entry] of each layer to a function, in order, with its
//     content as a stream, and in the end the [View]: what of all that is still there, and
//     what each layer loses to those above it. [Image.WalkUnknown] does without the bytes of
//     layers whose entries were kept.
//
// The standards are the OCI image specification 1.1 (manifest.md, config.md, layer.md,
// image-layout.md), the OCI distribution specification 1.1 with docker's token
// authentication and catalog, the form that docker save has written since 1.10, POSIX.1-2001 tar with
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
// others. [Limits] bounds what is read, kept and spooled. An archive or document that two
// readers could take for different ones, and a layer that engines refuse to unpack, is an
// error.
//
// # Registries
//
// A registry says where its tokens are to be had. Credentials for it go to itself and to
// there, where that is of the same domain or named ([Registries].Realms), over TLS or where
// [Registries] allows plain HTTP. It may redirect to other
// hosts, which get none, but not from https to http, and not from a public host to a private
// address. No layer is kept: it is read as it comes, from where it broke off if it does, and
// the URLs that a manifest may have for it are not asked. Neither are schema 1 manifests
// read, nor signatures looked at.
//
// # Layers
//
// Each layer is unpacked by itself, and then laid on those below, as engines do. Inside a
// layer a folder's entry keeps what the folder has, any other takes the place of what is
// there, with all below it, and an entry below a link goes where the link leads. Then the
// layer's whiteouts act on the layers below, wherever in the layer they stand, but for one of
// a folder that the layer has too: there the specification hides what is below, and engines
// with overlayfs show it. Folders join those below, and all else, links too, gives way to
// what the layer has. Extended attributes of
// overlayfs in a layer hide nothing: what engines make of them differs, and it is better to
// see a file that is hidden than the other way round.
//
// Names are kept byte for byte: whoever shows them makes them harmless.
package image
