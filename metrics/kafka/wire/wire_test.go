package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// request is the beginning of one.
func request(key kmsg.Key, version, correlation int) []byte {
	b := binary.BigEndian.AppendUint32(nil, 8)
	b = binary.BigEndian.AppendUint16(b, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	return binary.BigEndian.AppendUint32(b, uint32(correlation))
}

// framed is an answer with its size and correlation id.
func framed(correlation int, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(4+len(body)))
	b = binary.BigEndian.AppendUint32(b, uint32(correlation))
	return append(b, body...)
}

// exchange sends requests over a guarded connection, and gives what is read of what is answered, up to the first error.
func exchange(t *testing.T, requests [][]byte, answer []byte) (read []byte, err error) {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
	conn, err := Guard(func(context.Context, string, string) (net.Conn, error) { return ours, nil })(t.Context(), "tcp", "")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for _, r := range requests {
			_, _ = io.ReadFull(theirs, make([]byte, len(r)))
		}
		for len(answer) > 0 {
			n := min(len(answer), 1000) // in pieces
			if _, err := theirs.Write(answer[:n]); err != nil {
				return
			}
			answer = answer[n:]
		}
		_ = theirs.Close()
	}()
	for _, r := range requests {
		if _, err := conn.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	return io.ReadAll(conn)
}

func TestAnswersPassWhole(t *testing.T) {
	large := framed(8, largeOffsets(10).AppendTo([]byte{0}))
	small := framed(7, []byte{0, 0, 0, 0, 0, 0, 0, 1, 0})
	all := append(small, large...)
	got, err := exchange(t, [][]byte{request(kmsg.ListGroups, 5, 7), request(kmsg.ListOffsets, 10, 8)}, all)
	if err != nil || string(got) != string(all) {
		t.Errorf("%d bytes of %d: %v", len(got), len(all), err)
	}
}

func TestWhatIsNoAnswerIsRefused(t *testing.T) {
	groups := request(kmsg.ListGroups, 5, 7)
	many := []byte{0xff, 0xff, 0xff, 0xff, 0x0f}
	for name, tc := range map[string]struct {
		request, answer []byte
		want            string
	}{
		"too large":                  {groups, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, maxOther+1), 7), "12582912 are the most"},
		"too large a greeting":       {request(kmsg.ApiVersions, 4, 7), binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, maxGreeting+1), 7), "65536 are the most"},
		"negative":                   {groups, []byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 7}, "an answer of -1 bytes"},
		"to something else":          {groups, framed(6, []byte{0}), "not sent"},
		"twice":                      {groups, append(framed(7, []byte{0, 0, 0, 0, 0, 0, 0, 1, 0}), framed(7, []byte{0})...), "not sent"},
		"of a kind not asked for":    {request(kmsg.Produce, 3, 7), framed(7, []byte{0}), "does not know"},
		"HTTP":                       {groups, []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), "in HTTP"},
		"TLS":                        {groups, []byte{0x15, 3, 1, 0, 2, 2, 70}, "in TLS"},
		"claims":                     {groups, framed(7, append([]byte{0, 0, 0, 0, 0, 0, 0, 200, 1}, make([]byte, 100)...)), "199 elements in 100 bytes"},
		"claims that nearly hold":    {groups, framed(7, append([]byte{0, 0, 0, 0, 0, 0, 0, 101}, make([]byte, 100)...)), "cut off"},
		"tags in the head":           {groups, framed(7, append(many, make([]byte, 100)...)), "4294967295 tags"},
		"tags":                       {groups, framed(7, append([]byte{0, 0, 0, 0, 0, 0, 0, 1}, many...)), "4294967295 tags"},
		"tags of a greeting":         {request(kmsg.ApiVersions, 4, 7), framed(7, append([]byte{0, 0, 1, 0, 0, 0, 0}, many...)), "4294967295 tags"},
		"tags in a greeting's tags":  {request(kmsg.ApiVersions, 4, 7), framed(7, append([]byte{0, 0, 1, 0, 0, 0, 0, 1, 0, 11, 2, 1, 0, 0, 0, 0}, many...)), "4294967295 tags"},
		"elements in tags":           {request(kmsg.ApiVersions, 4, 7), framed(7, append([]byte{0, 0, 1, 0, 0, 0, 0, 1, 0, 100, 101}, make([]byte, 100)...)), "100 elements in 99 bytes"},
		"elements in a fetch's tags": {request(kmsg.Fetch, 12, 7), framed(7, append(append(make([]byte, 11), 1, 1, 0, 100, 101), make([]byte, 100)...)), "100 elements in 99 bytes"},
		"tags in a fetch's tags": {request(kmsg.Fetch, 12, 7), framed(7, slices.Concat(make([]byte, 11), []byte{2, 1, 2}, make([]byte, 30), []byte{1, 1, 0, 0, 0, 0, 1, 1, 20},
			make([]byte, 8), many, make([]byte, 9))), "4294967295 tags"},
		"an old greeting": {request(kmsg.ApiVersions, 4, 7), framed(7, append([]byte{0, 35, 0, 0, 0, 100}, make([]byte, 10)...)), "100 elements in 10 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := exchange(t, [][]byte{tc.request}, tc.answer)
			var refused *Error
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
	if _, err := exchange(t, [][]byte{groups}, framed(7, []byte{0, 0, 0, 0, 0, 0, 0, 1, 0})[:12]); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut off: %v", err)
	}
}

// TestClaimedSizeCostsNothing is of brokers that say how much will come, and send none of it.
func TestClaimedSizeCostsNothing(t *testing.T) {
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, maxMetadata), 7)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := exchange(t, [][]byte{request(kmsg.Metadata, 13, 7)}, head)
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 10*small || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%d bytes, %v", took, err)
	}
}
