// Package serve is what plimsoll does as long as it runs: so far the watcher, which
// follows a Docker engine and records in the trail what happens there.
//
// In order of use: [Replay] makes of a trail what it [Known] holds of an engine, a
// [Config] says which engine is followed and where events go, [Watch] follows it, and
// [Judging] is the ordinary way to judge containers while that runs.
//
// # How nothing is missed, or recorded twice
//
// An engine remembers its last 256 events. On each connection all that it remembers is
// asked for, and what was seen already is left out by its bytes, not by its time: two
// events of an engine may come in another order than their times. Where none of what it
// remembers was seen before, though something was, the engine itself began anew.
//
// What an engine does not remember is found by comparing its lists with the watcher's
// picture of it. That picture changes only with an event that was recorded, so whatever
// differs is recorded, as "found_later", and an event that comes late and says what the
// picture has already is left out. Events come first: what differs is looked at again
// once those under way have arrived.
//
// An engine throws events away when a reader is slow. So they are read at once into a
// queue, and where even that overflows, because the disk is full for long, the lists are
// compared again.
//
// # What is looked at for images
//
// Images are scanned, and verified, by two chores: each knows which images there are, what
// it was done by, and when to try again. What comes of it is recorded by the goroutine that
// records all else; what the trail knows is their memory. A client can have an image looked
// at, by pulling it or by being refused by the gate, and waits longer each time.
//
// # What an engine's words are worth
//
// Names, labels and commands are other people's. Each text is cut to a length, and what
// looks like a secret is struck out. An engine mixes a container's labels into the
// attributes of its events, where they replace the engine's own: an attribute by whose
// name the container has a label is not believed.
//
// The package does not know who did something: whoever sits between a client and the
// engine does. It changes nothing in the engine. The standard followed is the Engine API
// (1.40 to 1.56), GET /events.
package serve
