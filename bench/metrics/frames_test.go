package main

import (
	"encoding/binary"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// request is one frame as a broker gets it.
type request struct {
	client string
	null   bool
	key    int16
	body   int
}

func (r request) bytes() []byte {
	var b []byte
	b = binary.BigEndian.AppendUint16(b, uint16(r.key))
	b = append(b, 0, 9, 0, 0, 0, 7)
	if r.null {
		b = append(b, 0xff, 0xff)
	} else {
		b = binary.BigEndian.AppendUint16(b, uint16(len(r.client)))
		b = append(b, r.client...)
	}
	b = append(b, make([]byte, r.body)...)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}

func TestFramesAreFoundWhereverTheStreamIsCut(t *testing.T) {
	requests := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) request {
		r := request{key: rapid.Int16Range(0, 90).Draw(t, "key"), body: rapid.IntRange(0, 300).Draw(t, "body"), null: rapid.Bool().Draw(t, "null")}
		if !r.null {
			r.client = rapid.StringMatching(`[a-z-]{0,20}`).Draw(t, "client")
		}
		return r
	}), 1, 8)
	type found struct {
		client string
		key    int16
		size   int
	}
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		var want, got []found
		for _, r := range requests.Draw(t, "requests") {
			stream = append(stream, r.bytes()...)
			want = append(want, found{r.client, r.key, len(r.bytes())})
		}
		var f frames
		for len(stream) > 0 {
			n := rapid.IntRange(1, len(stream)).Draw(t, "cut")
			f.feed(stream[:n], func(client string, key int16, size int) { got = append(got, found{client, key, size}) })
			stream = stream[n:]
		}
		if !slices.Equal(got, want) {
			t.Fatalf("found %v, want %v", got, want)
		}
	})
}
