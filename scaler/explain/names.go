package explain

import (
	"cmp"
	"slices"
	"strings"

	"swell/scaler/ledger"
)

// nameAll keeps the names of what an entry knows, each as the kind that it is.
func (b *Book) nameAll(e *ledger.Entry) {
	add := func(kind, of string) {
		if of != "" {
			b.names[Object{kind, of}] = true
		}
	}
	switch e.Action {
	case "unplaced", "pop", "delete-balloon":
		add(Pod, e.Object)
	case "launch", "would-launch":
		add(Group, e.Object)
	case "awaited", "terminate", "complete-lifecycle":
		add(Instance, e.Object)
	case "placed", "kept", "drain":
		add(Node, e.Object)
	case "create-balloons":
		add(Balloon, e.Object)
	case "problem":
		if kind, of, ok := problemOf(e.Object); ok {
			add(kind, of)
		}
	}
	for _, p := range slices.Concat(e.Pods, podsOf(e)) {
		add(Pod, p)
	}
	for _, p := range e.Placed {
		add(Pod, p.Pod)
	}
	add(Pool, e.Pool)
	add(Node, e.Node)
	if in := e.Instance; in != nil {
		add(Instance, in.ID)
		add(Node, in.Node)
		add(Group, in.Group)
		add(Pool, in.Pool)
	}
	if s := e.Sizing; s != nil {
		add(Balloon, s.Balloon)
	}
	if s := e.Shortfall; s != nil {
		add(Group, s.Group)
		add(Pool, s.Pool)
	}
	if n := e.Notice; n != nil {
		add(Instance, n.Instance)
		add(Node, n.Node)
	}
	if p := e.Policy; p != nil {
		if kind, ok := kinds[strings.ToLower(p.Kind)]; ok {
			add(kind, p.Name)
		}
	}
}

// Find are the objects of a name, sorted by kind: those that the ledger knows as one.
func (b *Book) Find(name string) []Object {
	var out []Object
	for o := range b.names {
		if o.Name == name {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(x, y Object) int { return cmp.Compare(x.Kind, y.Kind) })
	return out
}

// problemOf is whom a problem is of, by its object in the ledger such as "pool general".
func problemOf(object string) (kind, name string, ok bool) {
	word, name, found := strings.Cut(object, " ")
	kind, ok = kinds[strings.ToLower(word)]
	return kind, name, found && ok
}

// Known are the names of a kind that the ledger has, sorted.
func (b *Book) Known(kind string) []string {
	var out []string
	for o := range b.names {
		if o.Kind == kind {
			out = append(out, o.Name)
		}
	}
	slices.Sort(out)
	return out
}

// All are the names of all kinds that the ledger has, as KIND/NAME, sorted.
func (b *Book) All() []string {
	var out []string
	for o := range b.names {
		out = append(out, o.Kind+"/"+o.Name)
	}
	slices.Sort(out)
	return out
}
