// Package deploy runs a program that deploys, and has what it deploys say whose it is and
// why: a client of Docker's needs no change for it, and no labels in its files.
//
//   - [Config] says which program is run, against which engine, and what is declared.
//   - [Run] gives the program a socket of its own to call as the engine's, waits for it, and
//     tells in a [Result] how it ended and what was declared. While it runs, each request that
//     makes a container or a service, or changes a service, gets the labels of a
//     [declare.Saying]; all else passes byte for byte.
//   - [FromGit] is what the repository around a folder tells.
//
// The labels are put into the text of the body; no other byte of it changes. What could be
// read in two ways where they belong is refused. A service's labels are for its containers
// too. Of an update that leaves its containers as they are they keep theirs, since the engine
// would make all of them anew for another label.
//
// The package keeps nobody from reaching the engine another way: what the program deploys
// there says nothing. It believes what it is told, and judges nothing.
//
// The bodies are those of the Engine API (POST /containers/create, POST /services/create,
// POST /services/{id}/update), of any version.
package deploy
