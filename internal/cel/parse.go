package cel

import (
	"math"
	"strconv"
	"strings"
)

// nodeKind is what a node is.
type nodeKind uint8

const (
	literalNode nodeKind = iota
	nameNode
	selectNode // name of args[0]
	hasNode    // whether args[0], a selectNode, is there
	callNode   // of the function or operator name; the target of a method first
	listNode
	mapNode   // keys and values by turns
	macroNode // name over args[0], with args[1] as the name of an element
)

// node is a part of an expression. It stands at text[start:end], and with the
// parentheses around it at text[from:to].
type node struct {
	kind       nodeKind
	method     bool // a call of args[0]
	start, end int32
	from, to   int32
	name       string
	value      *Value // of a literalNode
	args       []*node
	typ        *Type // once it is checked
}

// Operators are calls of functions with these names, which no expression can
// call by them.
const (
	opAnd    = "&&"
	opOr     = "||"
	opNot    = "!"
	opNegate = "-x"
	opChoice = "?:"
	opIndex  = "[]"
	opIn     = "in"
	opEqual  = "=="
	opOther  = "!="
)

// level is how strongly an operator holds two operands together; 0 is none.
func (op operator) level() int {
	switch op {
	case twoOr:
		return 1
	case twoAnd:
		return 2
	case '<', '>', twoLess, twoGreater, twoEqual, twoOther, wordIn:
		return 3
	case '+', '-':
		return 4
	case '*', '/', '%':
		return 5
	}
	return 0
}

// Bounds on an expression, for any input: how deep it may be, and its length in
// bytes.
const (
	maxNesting = 100
	maxLength  = 100_000
)

// parser makes nodes of tokens.
type parser struct {
	scanner
	tok   token
	depth int
	spare []node
}

// parse reads a whole expression.
func parse(text string) (*node, *SyntaxError) {
	if len(text) > maxLength {
		return nil, &SyntaxError{Msg: "the expression is too long"}
	}
	p := &parser{scanner: scanner{text: text}}
	if err := p.advance(); err != nil {
		return nil, err
	}
	n, err := p.choice()
	if err != nil {
		return nil, err
	}
	if p.tok.kind != tokenEnd {
		return nil, p.unexpected("the end, or an operator")
	}
	return n, nil
}

func (p *parser) advance() *SyntaxError {
	var err *SyntaxError
	p.tok, err = p.scanner.next()
	return err
}

// is reports whether the next token is this operator.
func (p *parser) is(op operator) bool { return p.tok.op == op }

// take walks over an operator that must stand here, and gives where it ends.
func (p *parser) take(op operator) (end int32, err *SyntaxError) {
	if !p.is(op) {
		return 0, p.unexpected(string(rune(op)))
	}
	end = p.tok.to
	return end, p.advance()
}

func (p *parser) unexpected(want string) *SyntaxError {
	if p.tok.kind == tokenEnd {
		return p.fail(int(p.tok.from), "the expression ends early: %s is missing", want)
	}
	return p.fail(int(p.tok.from), "%s should stand here, not %s", want, brief(p.text[p.tok.from:p.tok.to]))
}

// node makes a node of text[from:to].
func (p *parser) node(n node, from, to int32) *node {
	if len(p.spare) == cap(p.spare) {
		p.spare = make([]node, 0, 8) // one by one they take a good part of the time
	}
	n.start, n.from, n.end, n.to = from, from, to, to
	p.spare = append(p.spare, n)
	return &p.spare[len(p.spare)-1]
}

// between is a node that begins with another.
func (p *parser) between(kind nodeKind, name string, first *node, to int32, args ...*node) *node {
	return p.node(node{kind: kind, name: name, args: args}, first.from, to)
}

// choice reads an expression of the weakest kind: a ? b : c.
func (p *parser) choice() (n *node, err *SyntaxError) {
	if p.depth++; p.depth > maxNesting {
		return nil, p.fail(int(p.tok.from), "the expression is too deep")
	}
	n, err = p.alternatives()
	p.depth--
	return n, err
}

func (p *parser) alternatives() (*node, *SyntaxError) {
	n, err := p.binary(1)
	if err != nil || !p.is('?') {
		return n, err
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	yes, err := p.binary(1)
	if err != nil {
		return nil, err
	}
	if _, err := p.take(':'); err != nil {
		return nil, err
	}
	no, err := p.choice()
	if err != nil {
		return nil, err
	}
	return p.between(callNode, opChoice, n, no.to, n, yes, no), nil
}

// binary reads operands with operators of the level, or stronger ones, between
// them.
func (p *parser) binary(level int) (*node, *SyntaxError) {
	left, err := p.unary()
	for err == nil {
		op := p.tok
		own := op.op.level()
		if own < level || own == 0 {
			return left, nil
		}
		if err = p.advance(); err != nil {
			break
		}
		var right *node
		if right, err = p.binary(own + 1); err == nil {
			left = p.between(callNode, p.text[op.from:op.to], left, right.to, left, right)
		}
	}
	return nil, err
}

// unary reads what may have ! or - before it, any number of one of them. Two
// undo each other.
func (p *parser) unary() (*node, *SyntaxError) {
	mark := p.tok.op
	if mark != '!' && mark != '-' {
		return p.member()
	}
	from, n := p.tok.from, 0
	for p.is(mark) {
		n++
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
	if mark == '-' && n%2 == 1 && p.tok.kind == tokenLiteral && p.number() {
		// The least number has no positive twin.
		if err := p.whole("-"); err != nil {
			return nil, err
		}
		if p.tok.value.kind == Double {
			p.tok.value = DoubleValue(-p.tok.value.double())
		}
		p.tok.from = from
		return p.member()
	}
	operand, err := p.member()
	if err != nil || n%2 == 0 {
		return operand, err
	}
	name := opNot
	if mark == '-' {
		name = opNegate
	}
	return p.node(node{kind: callNode, name: name, args: []*node{operand}}, from, operand.to), nil
}

// number reports whether the next token is a number.
func (p *parser) number() bool { c := p.text[p.tok.from]; return isDigit(c) || c == '.' }

// whole reads a whole number with the sign before it; one that has a value is
// another literal.
func (p *parser) whole(sign string) *SyntaxError {
	if p.tok.value.kind != 0 {
		return nil
	}
	digits, base := p.text[p.tok.from:p.tok.to], 10
	if strings.HasPrefix(digits, "0x") {
		digits, base = digits[2:], 16
	}
	n, err := strconv.ParseInt(sign+digits, base, 64)
	if err != nil {
		return p.fail(int(p.tok.from), "the number is not between %d and %d", math.MinInt64, math.MaxInt64)
	}
	p.tok.value = IntValue(n)
	return nil
}

// member reads a value with what is selected of it.
func (p *parser) member() (*node, *SyntaxError) {
	n, err := p.primary()
	for err == nil {
		switch {
		case p.is('.'):
			n, err = p.selection(n)
		case p.is('['):
			n, err = p.index(n)
		default:
			return n, nil
		}
	}
	return nil, err
}

// selection reads .field or .method(…) after a value.
func (p *parser) selection(target *node) (*node, *SyntaxError) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.tok.kind != tokenName {
		return nil, p.unexpected("a name")
	}
	name, end := p.text[p.tok.from:p.tok.to], p.tok.to
	if err := p.advance(); err != nil {
		return nil, err
	}
	if !p.is('(') {
		return p.between(selectNode, name, target, end, target), nil
	}
	args, end, err := p.arguments()
	if err != nil {
		return nil, err
	}
	return p.call(name, target, target.from, end, args)
}

func (p *parser) index(target *node) (*node, *SyntaxError) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	at, err := p.choice()
	if err != nil {
		return nil, err
	}
	end, err := p.take(']')
	if err != nil {
		return nil, err
	}
	return p.between(callNode, opIndex, target, end, target, at), nil
}

// arguments reads (a, b, c) and gives where it ends.
func (p *parser) arguments() (args []*node, end int32, err *SyntaxError) {
	if err := p.advance(); err != nil {
		return nil, 0, err
	}
	if !p.is(')') {
		if args, err = p.items(0); err != nil {
			return nil, 0, err
		}
	}
	end, err = p.take(')')
	return args, end, err
}

// items reads expressions with commas between them; where there is a closing
// bracket, a comma may stand before that too.
func (p *parser) items(closing operator) ([]*node, *SyntaxError) {
	var items []*node
	for {
		n, err := p.choice()
		if err != nil {
			return nil, err
		}
		items = append(items, n)
		if !p.is(',') {
			return items, nil
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
		if closing != 0 && p.is(closing) {
			return items, nil
		}
	}
}

func (p *parser) primary() (*node, *SyntaxError) {
	from := p.tok.from
	switch {
	case p.tok.kind == tokenLiteral:
		if err := p.whole(""); err != nil {
			return nil, err
		}
		value := p.tok.value
		n := p.node(node{kind: literalNode, value: &value}, from, p.tok.to)
		return n, p.advance()
	case p.tok.kind == tokenName:
		return p.named()
	case p.is('('):
		if err := p.advance(); err != nil {
			return nil, err
		}
		n, err := p.choice()
		if err != nil {
			return nil, err
		}
		n.from = from
		n.to, err = p.take(')')
		return n, err
	case p.is('['):
		return p.list()
	case p.is('{'):
		return p.table()
	}
	return nil, p.unexpected("a value")
}

// named reads a variable or the call of a function.
func (p *parser) named() (*node, *SyntaxError) {
	name, from, end := p.text[p.tok.from:p.tok.to], p.tok.from, p.tok.to
	if !isName(name) {
		return nil, p.fail(int(from), "%s is a word that CEL keeps for itself", name)
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if !p.is('(') {
		return p.node(node{kind: nameNode, name: name}, from, end), nil
	}
	args, end, err := p.arguments()
	if err != nil {
		return nil, err
	}
	return p.call(name, nil, from, end, args)
}

func (p *parser) list() (*node, *SyntaxError) {
	n := p.node(node{kind: listNode}, p.tok.from, 0)
	err := p.advance()
	if err == nil && !p.is(']') {
		n.args, err = p.items(']')
	}
	if err != nil {
		return nil, err
	}
	n.end, err = p.take(']')
	n.to = n.end
	return n, err
}

func (p *parser) table() (*node, *SyntaxError) {
	n := p.node(node{kind: mapNode}, p.tok.from, 0)
	err := p.advance()
	for err == nil && !p.is('}') {
		var key, value *node
		if key, err = p.choice(); err != nil {
			return nil, err
		}
		if _, err = p.take(':'); err != nil {
			return nil, err
		}
		if value, err = p.choice(); err != nil {
			return nil, err
		}
		n.args = append(n.args, key, value)
		if !p.is(',') {
			break
		}
		err = p.advance()
	}
	if err != nil {
		return nil, err
	}
	n.end, err = p.take('}')
	n.to = n.end
	return n, err
}

// macros are the methods with a body for each element, with how many arguments.
var macros = map[string][]int{"all": {2}, "exists": {2}, "exists_one": {2}, "filter": {2}, "map": {2, 3}, "sortBy": {2}}

// call makes the node for a call; target is nil where there is none.
func (p *parser) call(name string, target *node, from, end int32, args []*node) (*node, *SyntaxError) {
	n := p.node(node{kind: callNode, name: name, args: args}, from, end)
	if target == nil {
		if name == "has" && len(args) == 1 {
			if args[0].kind != selectNode {
				return nil, p.fail(int(args[0].start), "has() asks for a field: has(a.b)")
			}
			n.kind = hasNode
		}
		return n, nil
	}
	n.method, n.args = true, append([]*node{target}, args...)
	for _, count := range macros[name] {
		if len(args) != count {
			continue
		}
		element := args[0]
		if element.kind != nameNode || element.from != element.start {
			return nil, p.fail(int(element.start), "the first argument of %s() is a name for the element", name)
		}
		n.kind = macroNode
	}
	return n, nil
}
