package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// What the client takes for a string besides its bytes, for a map of tags, and for each tag in it; bytes.
const (
	perText = 32
	perTags = 384
	perTag  = 96
)

// walker goes through an answer as the client will, without keeping any of it.
type walker struct {
	left     []byte
	version  int16
	flexible bool
	// decoded is how many bytes it will take, most how many it may.
	decoded, most int64
	problem       string
}

// unsupported is the error code for a version; an answer with it has version 0.
const unsupported = 35

// check says what is wrong with an answer, from behind its correlation id on; empty if nothing.
func (l layout) check(of asked, body []byte) string { return l.walker(of, body).problem }

// walker is one that has gone through an answer.
func (l layout) walker(of asked, body []byte) *walker {
	w := &walker{left: body, version: of.version, most: l.decoded}
	greets := of.key == int16(kmsg.ApiVersions)
	if greets && len(body) > 1 && body[1] == unsupported {
		w.version = 0
	}
	kind := kmsg.ResponseForKey(of.key)
	kind.SetVersion(w.version)
	w.flexible = kind.IsFlexible()
	if w.flexible && !greets {
		w.tags(nil)
	}
	w.walk(l.fields)
	return w
}

func (w *walker) fail(format string, args ...any) {
	if w.problem == "" {
		w.problem = fmt.Sprintf(format, args...)
	}
	w.left = nil
}

func (w *walker) cut() { w.fail("it is cut off") }

func (w *walker) take(n int64) {
	w.decoded += n
	if w.decoded > w.most {
		w.fail("it would take more than %d bytes", w.most)
	}
}

// walk goes through a struct.
func (w *walker) walk(fields []field) {
	for i := range fields {
		f := &fields[i]
		if f.tagged || w.version < f.from || w.version > f.to {
			continue
		}
		w.field(f)
		if w.problem != "" {
			return
		}
	}
	if w.flexible {
		w.tags(fields)
	}
}

func (w *walker) field(f *field) {
	switch f.kind {
	case number:
		w.skip(f.width)
	case text:
		n := max(w.length(2), 0)
		w.take(n + perText)
		w.skip(n)
	case blob:
		w.skip(max(w.length(4), 0))
	case one:
		w.walk(f.fields)
	case list:
		w.list(f)
	}
}

// list goes through an array: as many elements as it is said to have must be there.
func (w *walker) list(f *field) {
	n := w.length(4)
	if n > int64(len(w.left)) {
		w.fail("%d elements in %d bytes", n, len(w.left))
		return
	}
	if n <= 0 {
		return
	}
	w.take(n * f.width)
	if f.plain && f.fields[0].kind == number {
		w.skip(n * f.fields[0].width)
		return
	}
	for ; n > 0 && w.problem == ""; n-- {
		if f.plain {
			w.field(&f.fields[0])
			continue
		}
		w.walk(f.fields)
	}
}

// tags goes through the tagged fields at the end of a struct.
func (w *walker) tags(fields []field) {
	n := w.uvarint()
	if n == 0 {
		return
	}
	if 2*n > int64(len(w.left)) {
		w.fail("%d tags in %d bytes", n, len(w.left))
		return
	}
	w.take(perTags)
	for ; n > 0 && w.problem == ""; n-- {
		w.take(perTag)
		tag, size := w.uvarint(), w.uvarint()
		if size > int64(len(w.left)) {
			w.cut()
			return
		}
		value := w.left[:size]
		w.left = w.left[size:]
		for i := range fields {
			if f := &fields[i]; f.tagged && int64(f.tag) == tag && w.version >= f.from && w.version <= f.to {
				after := w.left
				w.left = value
				w.field(f)
				w.left = after
			}
		}
	}
}

// length is that of a string, of bytes or of an array, negative where there is none; width is what it takes in answers that are
// not flexible.
func (w *walker) length(width int) int64 {
	if w.flexible {
		return w.uvarint() - 1
	}
	if len(w.left) < width {
		w.cut()
		return 0
	}
	head := w.left[:width]
	w.left = w.left[width:]
	if width == 2 {
		return int64(int16(binary.BigEndian.Uint16(head)))
	}
	return int64(int32(binary.BigEndian.Uint32(head)))
}

func (w *walker) skip(n int64) {
	if n > int64(len(w.left)) {
		w.cut()
		return
	}
	w.left = w.left[n:]
}

func (w *walker) uvarint() int64 {
	v, n := binary.Uvarint(w.left[:min(len(w.left), 5)])
	if n <= 0 || v > 1<<32-1 {
		w.cut()
		return 0
	}
	w.left = w.left[n:]
	return int64(v)
}
