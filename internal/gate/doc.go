// Package gate stands in front of a Docker engine's socket: nothing that a policy's rules
// forbid gets to the engine, and whatever changes something is on record, with who asked
// for it.
//
// A [Gate] serves connections ([Gate.Serve]); each belongs to one caller, and to one
// connection to the engine. A request goes through these steps, in this order (see
// exchange in exchange.go):
//
//  1. It is found in the table of package api, and its body decoded, both strictly. What is
//     not there, or could be read in two ways, is refused.
//  2. The policy decides: by class, and where containers come of it, by the rules that
//     judge those that run, on a [workload.Spec] of the request.
//  3. What was refused is recorded and answered; all else that changes something is
//     recorded before it is passed on.
//  4. What is passed on is what was checked.
//  5. What the engine made of it is judged again, by the engine's own description, before
//     the client learns of it; what is worse than the request was is taken back.
//  6. What came of it is recorded.
//
// So a difference between this package's reading of a request and the engine's is found
// in step 5. Where there is no such step (volumes, networks, builds), step 2 refuses more.
//
// In the mode observe nothing is refused: what would have been is recorded.
//
// The package does not make anybody safe who can reach the engine another way, and it
// cannot judge what a container will do with a folder of the host that it may write to.
package gate
