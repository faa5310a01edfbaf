// Package api is the closed world of the gate: every route of the Docker Engine
// API from 1.40 to 1.56, and every field that a request's body may have. What is
// not here is refused; nothing is repaired.
//
// In the order of use:
//
//   - [Find] takes method and target of a request line, and gives a [Match]: the
//     [Endpoint], the version asked for, the variables of the path, the query.
//   - [Endpoint.Takes] looks at the Content-Type, for one that makes the engine read
//     parameters from the body.
//   - [Decode] reads a body once, strictly, into the tree that is forwarded and the
//     Go value that is judged, both of the same bytes. [Encode] writes the tree.
//   - [Refusal] is what all of them answer instead.
//
// An [Endpoint] says of which [Class] it is, the word a policy speaks of; what it
// does to the world ([Effect]); what it takes ([Body]) and gives ([Answer]); and who
// decides on it ([Judge]). [Endpoints] has the table.
//
// # Why each accepted request means one thing
//
// The engine routes by the decoded path, with gorilla/mux, cleans it first, and
// takes the first pattern that fits, where most variables match slashes too. Here a
// path must be clean already, fixed words are never percent-encoded, and a decoded
// variable has neither a dot segment nor a byte that a second decoding would read
// otherwise. What is accepted is forwarded as it was sent.
//
// The engine decodes bodies by encoding/json: keys in any case, the last one wins,
// what is unknown or follows is ignored. Here a key must be spelt as the API spells
// it, once. A key that the API does not have may pass if it says nothing, and is
// left out of what is forwarded.
//
// The package does no I/O, judges nothing, and bounds neither target nor body: who
// reads them does. It follows the documents of the API (docs/v1.40.yaml to
// docs/v1.56.yaml of github.com/moby/moby/api), RFC 3986 for paths, RFC 8259 for
// bodies, and for what the documents leave out the engine's own routes.
package api
