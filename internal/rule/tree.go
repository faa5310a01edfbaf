package rule

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// A checked expression is kept as its nodes from the top down, each with what
// it leads to behind it. CEL's own form, a CheckedExpr of protocol buffers, is
// four times as long and five times as much work to read (measured), for it has
// a type for every node and keeps what belongs to a node in tables.
//
// A node is a byte for its kind and its marks, the reference and the type where
// the marks say so, and its parts. Texts and lists begin with their length.
const (
	kindMark      = 0x0f // an ast.ExprKind
	referenceMark = 0x10
	typeMark      = 0x20
	testMark      = 0x40 // a select that only tests whether the field is there
	memberMark    = 0x80 // a call of a method
)

// Types are kept where planning a program asks for them: for what fields are
// selected of, and for names of types.
const (
	structType = iota // with its name
	typeType
)

// Literals by their Go type.
const (
	literalNull = iota
	literalFalse
	literalTrue
	literalInt
	literalUint
	literalDouble
	literalString
)

// treeWriter writes the nodes of one expression.
type treeWriter struct {
	ast  *ast.AST
	text []byte
	err  error
}

// appendTree writes a checked expression.
func appendTree(checked *ast.AST) ([]byte, error) {
	w := &treeWriter{ast: checked}
	w.node(checked.Expr())
	return w.text, w.err
}

func (w *treeWriter) number(n int) { w.text = binary.AppendUvarint(w.text, uint64(n)) }

func (w *treeWriter) word(s string) {
	w.number(len(s))
	w.text = append(w.text, s...)
}

func (w *treeWriter) nodes(list ...ast.Expr) {
	w.number(len(list))
	for _, e := range list {
		w.node(e)
	}
}

func (w *treeWriter) fail(what string) {
	if w.err == nil {
		w.err = fmt.Errorf("%s cannot be written to %s", what, CompiledFile)
	}
}

func (w *treeWriter) node(e ast.Expr) {
	head := byte(e.Kind())
	reference := w.ast.ReferenceMap()[e.ID()]
	if reference != nil {
		head |= referenceMark
	}
	typ := w.ast.TypeMap()[e.ID()]
	if typ != nil && (typ.Kind() == types.StructKind || typ.Kind() == types.TypeKind) {
		head |= typeMark
	}
	switch {
	case e.Kind() == ast.SelectKind && e.AsSelect().IsTestOnly():
		head |= testMark
	case e.Kind() == ast.CallKind && e.AsCall().IsMemberFunction():
		head |= memberMark
	}
	w.text = append(w.text, head)
	if reference != nil {
		w.reference(e, reference)
	}
	if head&typeMark != 0 {
		if typ.Kind() == types.StructKind {
			w.number(structType)
			w.word(typ.TypeName())
		} else {
			w.number(typeType)
		}
	}
	w.parts(e)
}

func (w *treeWriter) reference(e ast.Expr, r *ast.ReferenceInfo) {
	if r.Value != nil {
		w.fail("a constant by its name")
	}
	overloads := r.OverloadIDs
	if e.Kind() == ast.CallKind {
		switch e.AsCall().FunctionName() {
		case operators.LogicalAnd, operators.LogicalOr, operators.Conditional, operators.Equals, operators.NotEquals, operators.Index:
			overloads = nil // CEL knows these by their names
		}
	}
	w.word(r.Name)
	w.number(len(overloads))
	for _, o := range overloads {
		w.word(o)
	}
}

func (w *treeWriter) parts(e ast.Expr) {
	switch e.Kind() {
	case ast.LiteralKind:
		w.literal(e.AsLiteral())
	case ast.IdentKind:
		w.word(e.AsIdent())
	case ast.SelectKind:
		w.word(e.AsSelect().FieldName())
		w.node(e.AsSelect().Operand())
	case ast.CallKind:
		c := e.AsCall()
		w.word(c.FunctionName())
		if c.IsMemberFunction() {
			w.node(c.Target())
		}
		w.nodes(c.Args()...)
	case ast.ListKind:
		if len(e.AsList().OptionalIndices()) > 0 {
			w.fail("a list with optional elements")
		}
		w.nodes(e.AsList().Elements()...)
	case ast.MapKind:
		w.number(len(e.AsMap().Entries()))
		for _, one := range e.AsMap().Entries() {
			if one.AsMapEntry().IsOptional() {
				w.fail("a map with optional entries")
			}
			w.node(one.AsMapEntry().Key())
			w.node(one.AsMapEntry().Value())
		}
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		w.word(c.IterVar())
		w.word(c.IterVar2())
		w.word(c.AccuVar())
		for _, part := range []ast.Expr{c.IterRange(), c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()} {
			w.node(part)
		}
	default:
		w.fail(fmt.Sprintf("an expression of kind %d", e.Kind()))
	}
}

func (w *treeWriter) literal(v ref.Val) {
	switch v := v.(type) {
	case types.Null:
		w.number(literalNull)
	case types.Bool:
		if v {
			w.number(literalTrue)
		} else {
			w.number(literalFalse)
		}
	case types.Int:
		w.number(literalInt)
		w.text = binary.AppendVarint(w.text, int64(v))
	case types.Uint:
		w.number(literalUint)
		w.text = binary.AppendUvarint(w.text, uint64(v))
	case types.Double:
		w.number(literalDouble)
		w.text = binary.LittleEndian.AppendUint64(w.text, math.Float64bits(float64(v)))
	case types.String:
		w.number(literalString)
		w.word(string(v))
	default:
		w.fail("a literal of type " + v.Type().TypeName())
	}
}

// treeReader reads what treeWriter wrote, and numbers the nodes anew. After an
// error it reads zeroes.
type treeReader struct {
	text       string
	err        error
	last       int64 // number given
	make       ast.ExprFactory
	references map[int64]*ast.ReferenceInfo
	types      map[int64]*types.Type
}

var errTree = errors.New("a compiled expression is cut short or is none")

// plainReference is that of all calls that CEL knows by their names.
var plainReference = &ast.ReferenceInfo{}

// readTree is the expression in a text that appendTree wrote.
func readTree(text string) (*ast.AST, error) {
	r := &treeReader{text: text, make: ast.NewExprFactory(), references: map[int64]*ast.ReferenceInfo{}, types: map[int64]*types.Type{}}
	root := r.node()
	if r.err == nil && r.text != "" {
		r.err = errTree
	}
	if r.err != nil {
		return nil, r.err
	}
	if r.types[root.ID()] == nil {
		// Without any type it would count as not checked.
		r.types[root.ID()] = types.DynType
	}
	return ast.NewCheckedAST(ast.NewAST(root, ast.NewSourceInfo(nil)), r.types, r.references), nil
}

func (r *treeReader) fail() {
	r.text, r.err = "", errTree
}

func (r *treeReader) byte() byte {
	if r.text == "" {
		r.fail()
		return 0
	}
	c := r.text[0]
	r.text = r.text[1:]
	return c
}

func (r *treeReader) uint() uint64 {
	var n uint64
	for shift := 0; shift < 64; shift += 7 {
		c := r.byte()
		n |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return n
		}
	}
	r.fail()
	return 0
}

// length is that of a text or list, which cannot be longer than what is left.
func (r *treeReader) length() int {
	n := r.uint()
	if n > uint64(len(r.text)) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *treeReader) word() string {
	n := r.length()
	s := r.text[:n]
	r.text = r.text[n:]
	return s
}

func (r *treeReader) nodes() []ast.Expr {
	list := make([]ast.Expr, r.length())
	for i := range list {
		list[i] = r.node()
	}
	return list
}

func (r *treeReader) node() ast.Expr {
	r.last++
	id, head := r.last, r.byte()
	if head&referenceMark != 0 {
		r.references[id] = r.reference()
	}
	if head&typeMark != 0 {
		if r.uint() == structType {
			r.types[id] = types.NewObjectType(r.word())
		} else {
			r.types[id] = types.TypeType
		}
	}
	switch ast.ExprKind(head & kindMark) {
	case ast.LiteralKind:
		return r.make.NewLiteral(id, r.literal())
	case ast.IdentKind:
		return r.make.NewIdent(id, r.word())
	case ast.SelectKind:
		field := r.word()
		if head&testMark != 0 {
			return r.make.NewPresenceTest(id, r.node(), field)
		}
		return r.make.NewSelect(id, r.node(), field)
	case ast.CallKind:
		function := r.word()
		if head&memberMark != 0 {
			target := r.node()
			return r.make.NewMemberCall(id, function, target, r.nodes()...)
		}
		return r.make.NewCall(id, function, r.nodes()...)
	case ast.ListKind:
		return r.make.NewList(id, r.nodes(), nil)
	case ast.MapKind:
		entries := make([]ast.EntryExpr, r.length())
		for i := range entries {
			r.last++
			at, key := r.last, r.node()
			entries[i] = r.make.NewMapEntry(at, key, r.node(), false)
		}
		return r.make.NewMap(id, entries)
	case ast.ComprehensionKind:
		first, second, result := r.word(), r.word(), r.word()
		var parts [5]ast.Expr
		for i := range parts {
			parts[i] = r.node()
		}
		return r.make.NewComprehensionTwoVar(id, parts[0], first, second, result, parts[1], parts[2], parts[3], parts[4])
	}
	r.fail()
	return r.make.NewUnspecifiedExpr(id)
}

func (r *treeReader) reference() *ast.ReferenceInfo {
	name, n := r.word(), r.length()
	if name == "" && n == 0 {
		return plainReference
	}
	info := &ast.ReferenceInfo{Name: name}
	for range n {
		info.OverloadIDs = append(info.OverloadIDs, r.word())
	}
	return info
}

func (r *treeReader) literal() ref.Val {
	switch r.uint() {
	case literalFalse:
		return types.False
	case literalTrue:
		return types.True
	case literalInt:
		n := r.uint() // zigzag
		return types.Int(int64(n>>1) ^ -int64(n&1))
	case literalUint:
		return types.Uint(r.uint())
	case literalDouble:
		var bits uint64
		for shift := 0; shift < 64; shift += 8 {
			bits |= uint64(r.byte()) << shift
		}
		return types.Double(math.Float64frombits(bits))
	case literalString:
		return types.String(r.word())
	}
	return types.NullValue
}
