// Package cel is CEL, the Common Expression Language
// (https://github.com/google/cel-spec), over Go values: [Env.Compile] parses an
// expression and checks its types against the variables' Go types, and
// [Program.Eval] gives its value.
//
// It is the part of the language that rules about facts need, and means there
// exactly what the reference implementation means, which tests hold it to:
//
//   - null, bool, int, double, string, timestamp, duration, lists, maps, and
//     structs, whose fields go by their JSON names; dyn for what is only known
//     when it runs;
//   - all operators and conversions of these, [] and ., the macros has, all,
//     exists, exists_one, map and filter;
//   - the functions of the standard, and the strings, lists and sets extensions
//     but for format and quote.
//
// Left out are uint, bytes, types as values, messages of protocol buffers and
// optional values: no fact has them.
//
// What was not observed is CEL's unknown. A [Scope] says which chains of names
// were not, and an expression whose value hangs on one gives an unknown that
// tells which: false && unknown is false, true && unknown is unknown.
//
// Expressions that are not trusted are compiled in a [Env.Metered] environment and
// draw on a [Budget], which bounds their time and memory.
//
// docs/decisions/004-cel-of-our-own.md says why it is not the library.
package cel
