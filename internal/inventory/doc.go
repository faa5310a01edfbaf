// Package inventory answers what is deployed on a host, or was at some time: a read
// model of the trail, kept in SQLite.
//
// In the order of use:
//
//   - [Open] opens the database, and [DB.Sync] reads into it the events of a [Source]
//     that it has not read yet.
//   - [DB.List] answers a [Filter] with a [Listing] of [Deployment] values, worst first.
//   - [Listing.WriteTable], [Listing.WriteJSON], [Listing.WriteCSV] and
//     [Listing.WriteHTML] write it for its readers.
//   - [Carried] makes of a deployment the event that tells of it behind a prune.
//
// The database is made of the trail's events and of nothing else. It says by itself
// which trail it is of, up to which event, and by which version of this package. Events
// and the place up to which they are read are written in one transaction, so that it is
// right at every moment, for each process that reads it. Whatever does not fit, a
// schema of another version, a trail whose past is not what was read, or a file that
// SQLite cannot read, is answered by making it anew: there is no data to migrate.
//
// # Times
//
// A deployment is there from when the engine made it (detail "created" of its first
// event), though it may have been found only later, until its remove event. A change of
// its state counts from when the engine says that it was (detail "at"), else from when
// it was recorded. No change counts from before the one that was recorded before it.
//
// # What is read of an event
//
// Events of containers make and change deployments: deploy (declared, actor; created,
// found_later, source, revision, version, commit, repository, run, project,
// compose_service, swarm_service, replaces, privileged, via, limits), start (at, by), healthy (at, seconds), sick, die
// (at, exit_code, oom), pause, resume, rename (to), update (limits), judge (failing,
// waived, worst) and remove. A scan event (findings, worst) is about all containers of
// its subject's digest. All others are passed over. A container that some event is about
// but no deploy event is a deployment of which it is not known who made it, nor when.
//
// The package judges nothing, asks no engine, and never writes to the trail. Text of
// events is untrusted: it is kept as it is, and made harmless by whoever writes it out.
package inventory
