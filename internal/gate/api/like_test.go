package api

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// decoded is what the engine makes of a body.
type decoded struct {
	value any
	err   error
}

// decodeOfficial decodes a body as the newest engine does: into its type, by
// encoding/json, the first value of the text.
func decodeOfficial(e *Endpoint, data []byte) decoded {
	into := reflect.New(official[e.String()]).Interface()
	err := json.NewDecoder(bytes.NewReader(data)).Decode(into)
	return decoded{into, err}
}

// wrapper is what engines up to 24 decode a create body into: with the fields of
// HostConfig at the top, as before API 1.15.
type wrapper struct {
	*container.Config
	InnerHostConfig  *container.HostConfig `json:"HostConfig,omitempty"`
	Cpuset           string                `json:",omitempty"`
	NetworkingConfig *network.NetworkingConfig
	*container.HostConfig
}

// legacy is what engines 20.10 to 28 read of a create body besides.
type legacy struct {
	MacAddress string
	HostConfig struct {
		Capabilities    []string
		KernelMemory    int64
		KernelMemoryTCP int64
	}
}

// likeTheEngine checks that a body which is accepted means one thing: to the engine
// what was sent and what is forwarded, and to who judges it.
func likeTheEngine(t *testing.T, e *Endpoint, v Version, data []byte) {
	t.Helper()
	tree, body, refusal := Decode(e, v, data)
	if refusal != nil {
		if !strings.HasPrefix(refusal.Message, e.String()+": ") {
			t.Errorf("refused by %q", refusal.Message)
		}
		return
	}
	forwarded := Encode(tree)
	if len(data) == 0 {
		return
	}
	if n := valuesOf(tree); n > values(data) {
		t.Errorf("%s has %d values and keys, and is counted as %d", data, n, values(data))
	}
	was, is := decodeOfficial(e, data), decodeOfficial(e, forwarded)
	if (was.err == nil) != (is.err == nil) || was.err == nil && !reflect.DeepEqual(was.value, is.value) {
		t.Errorf("sent      %s\nforwarded %s\nto the engine %+v, %v\nand %+v, %v", data, forwarded, was.value, was.err, is.value, is.err)
	}
	if is.err == nil {
		if complaints := sameValue("", reflect.ValueOf(body), reflect.ValueOf(is.value)); complaints != nil {
			t.Errorf("sent      %s\njudged otherwise: %q", data, complaints)
		}
	}
	if e.String() == create {
		likeOlderEngines(t, data, forwarded)
	}
	// Once more, it is the same.
	again, body2, refusal := Decode(e, v, forwarded)
	if refusal != nil || !bytes.Equal(Encode(again), forwarded) || !reflect.DeepEqual(body, body2) {
		t.Errorf("sent      %s\nforwarded %s\nand again %s, %v", data, forwarded, Encode(again), refusal)
	}
}

// valuesOf is how many values and keys are in a tree.
func valuesOf(v *strict.Value) int {
	n := 1 + len(v.Members)
	for _, m := range v.Members {
		n += valuesOf(m.Value)
	}
	for _, item := range v.Items {
		n += valuesOf(item)
	}
	return n
}

func likeOlderEngines(t *testing.T, data, forwarded []byte) {
	t.Helper()
	var was, is wrapper
	errWas, errIs := json.Unmarshal(data, &was), json.Unmarshal(forwarded, &is)
	if is.HostConfig != nil || is.Cpuset != "" {
		t.Errorf("forwarded %s has fields of HostConfig at the top", forwarded)
	}
	// What says nothing there was sent and is not forwarded, so that an engine which
	// would not have read it does.
	was.HostConfig, was.Cpuset = nil, ""
	if errWas == nil && (errIs != nil || !reflect.DeepEqual(was, is)) {
		t.Errorf("sent      %s\nforwarded %s\nto an older engine %+v, %v\nand %+v, %v", data, forwarded, was, errWas, is, errIs)
	}
	var legacyWas, legacyIs legacy
	errWas, errIs = json.Unmarshal(data, &legacyWas), json.Unmarshal(forwarded, &legacyIs)
	if (errWas == nil) != (errIs == nil) || !reflect.DeepEqual(legacyWas, legacyIs) {
		t.Errorf("sent      %s\nforwarded %s\nto an older engine %+v and %+v", data, forwarded, legacyWas, legacyIs)
	}
}

// sameText says whether our text is what the official type, such as an address or a port,
// was read from.
func sameText(ours, theirs reflect.Value) bool {
	if ours.Kind() != reflect.String {
		return true // kept as it is, and not judged
	}
	if ours.String() == "" && theirs.IsZero() {
		return true
	}
	read := reflect.New(theirs.Type())
	if err := read.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(ours.String())); err != nil {
		return false
	}
	return reflect.DeepEqual(read.Elem().Interface(), theirs.Interface())
}

// sameValue lists where our value and the official one differ, in what both have.
func sameValue(at string, ours, theirs reflect.Value) (complaints []string) {
	differ := func() []string { return []string{fmt.Sprintf("%s: %v here, %v to the engine", at, ours, theirs)} }
	for _, v := range []*reflect.Value{&ours, &theirs} {
		for v.Kind() == reflect.Pointer && !v.IsNil() {
			*v = v.Elem()
		}
	}
	switch {
	case ours.Kind() == reflect.Pointer || theirs.Kind() == reflect.Pointer:
		// Where ours is no pointer, nothing is its zero.
		if ours.Kind() == reflect.Pointer && theirs.Kind() == reflect.Slice && theirs.IsNil() {
			return nil
		}
		if (ours.Kind() == reflect.Pointer || ours.IsZero()) && (theirs.Kind() == reflect.Pointer || theirs.IsZero()) {
			return nil
		}
		return differ()
	case reflect.PointerTo(theirs.Type()).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		if sameText(ours, theirs) {
			return nil
		}
		return differ()
	}
	switch ours.Kind() {
	case reflect.Struct:
		for name, k := range shapeOf(ours.Type()).keys {
			if _, both := shapeOf(theirs.Type()).keys[name]; both && !k.unread {
				complaints = append(complaints, sameValue(at+"."+name, fieldOf(ours, name), fieldOf(theirs, name))...)
			}
		}
		return complaints
	case reflect.Slice:
		if theirs.Kind() == reflect.Array {
			return nil
		}
		if ours.Len() != theirs.Len() || theirs.Kind() != reflect.Slice {
			return differ()
		}
		for i := range ours.Len() {
			complaints = append(complaints, sameValue(fmt.Sprintf("%s[%d]", at, i), ours.Index(i), theirs.Index(i))...)
		}
		return complaints
	case reflect.Map:
		isText := reflect.PointerTo(theirs.Type().Key()).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
		// Two spellings of one key, as 80 and 80/tcp, are one to the engine: the last. Both
		// are judged.
		if ours.Len() != theirs.Len() && !(isText && ours.Len() > theirs.Len()) {
			return differ()
		}
		for _, key := range ours.MapKeys() {
			name := reflect.New(theirs.Type().Key()).Elem()
			if isText {
				if err := name.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(key.String())); err != nil {
					return differ()
				}
			} else {
				name.Set(key.Convert(name.Type()))
			}
			other := theirs.MapIndex(name)
			if ours.Len() != theirs.Len() && other.IsValid() {
				continue
			}
			if !other.IsValid() {
				return differ()
			}
			complaints = append(complaints, sameValue(at+"["+key.String()+"]", ours.MapIndex(key), other)...)
		}
		return complaints
	case reflect.String:
		if ours.String() == theirs.String() {
			return nil
		}
	case reflect.Bool:
		if ours.Bool() == theirs.Bool() {
			return nil
		}
	case reflect.Float32:
		if ours.Float() == theirs.Float() {
			return nil
		}
	default:
		if fmt.Sprint(ours) == fmt.Sprintf("%d", theirs.Interface()) {
			return nil
		}
	}
	return differ()
}

// fieldOf gives the field of a key; zero where it is behind a nil pointer.
func fieldOf(v reflect.Value, key string) reflect.Value {
	for _, f := range reflect.VisibleFields(v.Type()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = f.Name
		}
		if name != key || f.Anonymous {
			continue
		}
		field, err := v.FieldByIndexErr(f.Index)
		if err != nil {
			return reflect.Zero(f.Type)
		}
		return field
	}
	return reflect.Value{}
}

// spoil writes a body with a few of the things that decoders differ in: keys in
// another case, given twice or escaped, unknown keys, other values.
func spoil(data []byte, seed uint64) []byte {
	tree, err := strict.Tree("", data)
	if err != nil || seed == 0 {
		return data
	}
	s := spoiler{rand.New(rand.NewPCG(seed, 1))}
	return s.value(nil, tree)
}

type spoiler struct{ *rand.Rand }

// rarely is true about once in a body.
func (s *spoiler) rarely() bool { return s.IntN(60) == 0 }

func (s *spoiler) value(out []byte, v *strict.Value) []byte {
	if s.rarely() {
		other := []string{"null", "0", "-0", "false", "true", `""`, `"0"`, "[]", "{}", "[null]", "1", "1.0", `{"Name":null}`}
		return append(out, other[s.IntN(len(other))]...)
	}
	switch v.Kind {
	case strict.Object:
		out = append(out, '{')
		for i, m := range v.Members {
			if i > 0 {
				out = append(out, ',')
			}
			if s.rarely() {
				out = append(out, `"`+[]string{"Teleport", "name", "Privileged", "privileged", "Memory", "HostConfig", "", "version"}[s.IntN(8)]+`":`...)
				out = append(append(out, []string{"null", "0", "{}", "true", `"a"`}[s.IntN(5)]...), ',')
			}
			out = s.value(append(s.key(out, m.Key), ':'), m.Value)
			if s.rarely() {
				out = s.value(append(s.key(append(out, ','), m.Key), ':'), m.Value)
			}
		}
		return append(out, '}')
	case strict.Array:
		out = append(out, '[')
		for i, item := range v.Items {
			if i > 0 {
				out = append(out, ',')
			}
			out = s.value(out, item)
		}
		return append(out, ']')
	}
	return append(out, v.Raw()...)
}

func (s *spoiler) key(out []byte, key string) []byte {
	if !s.rarely() {
		return appendText(out, key)
	}
	switch s.IntN(6) {
	case 0:
		key = strings.ToLower(key)
	case 1:
		key = strings.ToUpper(key)
	case 2:
		key = strings.NewReplacer("s", "ſ", "k", "\u212a", "S", "ſ", "K", "\u212a").Replace(key)
	case 3:
		key += "\u0000"
	case 4:
		if key != "" {
			return append(fmt.Appendf(append(out, '"'), `\u%04x`, key[0]), key[1:]+`"`...)
		}
	}
	return appendText(out, key)
}

// fuzzBodies runs bodies of a few endpoints past Decode and the engine's decoder.
func fuzzBodies(f *testing.F, names ...string) {
	var endpoints []*Endpoint
	for i, name := range names {
		endpoints = append(endpoints, endpoint(f, name))
		for _, data := range seeds(f, endpoints[i]) {
			for seed := range uint64(25) {
				f.Add(uint8(i), seed, data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, seed uint64, data []byte) {
		var v Version
		if seed%2 == 1 {
			v = Oldest + Version(seed/2%uint64(Newest-Oldest+1))
		}
		likeTheEngine(t, endpoints[int(which)%len(endpoints)], v, spoil(data, seed))
	})
}

// Whatever Decode accepts means to the engine what it means here: what was sent, what
// is forwarded, and what is judged.
func FuzzCreateLikeTheEngine(f *testing.F) { fuzzBodies(f, create) }

func FuzzUpdateLikeTheEngine(f *testing.F) { fuzzBodies(f, "POST /containers/{id}/update") }

func FuzzExecLikeTheEngine(f *testing.F) {
	fuzzBodies(f, "POST /containers/{id}/exec", "POST /exec/{id}/start")
}

func FuzzVolumeLikeTheEngine(f *testing.F) {
	fuzzBodies(f, "POST /volumes/create", "PUT /volumes/{name...}")
}

func FuzzNetworkLikeTheEngine(f *testing.F) {
	fuzzBodies(f, "POST /networks/create", "POST /networks/{id...}/connect", "POST /networks/{id...}/disconnect")
}

func FuzzOthersLikeTheEngine(f *testing.F) {
	fuzzBodies(f, "POST /services/create", "POST /swarm/init", "POST /commit", "POST /plugins/pull", "POST /secrets/create", "POST /nodes/{id}/update", "POST /auth")
}
