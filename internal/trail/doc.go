// Package trail is the memory: an append-only log of events whose past can be shown
// not to have been edited.
//
// An Event is stored as the bytes that it was acknowledged as. The bytes are the leaves
// of a Merkle tree (RFC 6962, section 2.1, by golang.org/x/mod/sumdb/tlog), whose size
// and root are signed with each batch that is written: a checkpoint (C2SP
// tlog-checkpoint, a signed note). A Log is the one writer of a folder, a View what a
// reader sees of it, a Bundle what is carried away; all of them are checked by Verify.
//
// # Life of an event
//
//  1. Append encodes it and waits. One goroutine takes all that wait: a batch.
//  2. The batch gets its numbers and times; its hashes are added to a copy of the tree's
//     right edge; the new root is signed.
//  3. One write puts the batch, root and signature before entries, behind the last one
//     in the segment; one fdatasync makes it durable. A crash before the end of that
//     leaves a torn tail, which nobody was told of: opening cuts it off. A new segment
//     is filled with zeros that batches are written over, so that fdatasync has no new
//     blocks to record; a closed one has none.
//  4. The edge is replaced by the copy, and the appenders are told. Hashes that fill a
//     tile are written to a file of their own. A crash before that loses nothing: they
//     are made again from the segment, by the function that step 2 uses.
//  5. The file "checkpoint" follows at least once a second, and at the end. It shows
//     that the end of a segment was cut off between two batches. It is never ahead of
//     what is durable.
//
// A folder holds:
//
//	events/NUMBER     a segment: batches, the first one empty; NUMBER is its first event
//	tile/LEVEL/…      full tiles of 256 hashes (C2SP tlog-tiles)
//	checkpoint        a late checkpoint, as a signed note
//	key, key.pub      the Ed25519 key in the note's form; key is for its owner alone
//	reserve           room for recording stop, kill and remove on a full disk
//	lock              held by the writer
//
// What is on disk after a failed fdatasync is not known (fsync(2)), so any failure but a
// full disk ends the Log: it says ErrBroken from then on, and must be opened again,
// which reads what is really there.
//
// The trail cannot bind who holds both its key and its files: root on its own host. For
// that, checkpoints must be kept elsewhere: see docs/trail.md.
package trail
