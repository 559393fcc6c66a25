package wire

import (
	"math"
	"reflect"
	"runtime"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// fill makes any structure, with tags that nobody knows among it.
func fill(t *rapid.T, v reflect.Value) {
	small := rapid.IntRange(0, 3)
	if v.Type() == reflect.TypeFor[kmsg.Tags]() {
		for range rapid.IntRange(-6, 2).Draw(t, "tags") {
			v.Addr().Interface().(*kmsg.Tags).Set(rapid.Uint32Range(20, 300).Draw(t, "tag"), make([]byte, small.Draw(t, "bytes")))
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(t, "there") {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem())
		}
	case reflect.Slice:
		n := small.Draw(t, "elements")
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(t, v.Index(i))
		}
	case reflect.Array:
		v.Index(0).SetUint(7)
	case reflect.String:
		v.SetString(rapid.StringN(0, 8, 40).Draw(t, "text"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(rapid.Int64Range(-1, 99).Draw(t, "number"))
	case reflect.Uint8:
		v.SetUint(1)
	}
}

// anAnswer is one of any kind and version, with its bytes from behind the correlation id on.
func anAnswer(t *rapid.T) (of asked, body []byte) {
	keys := []int16{}
	for key := range int16(kmsg.MaxKey + 1) {
		if _, ok := layouts[key]; ok {
			keys = append(keys, key)
		}
	}
	resp := kmsg.ResponseForKey(rapid.SampledFrom(keys).Draw(t, "key"))
	fill(t, reflect.ValueOf(resp).Elem())
	of = asked{key: resp.Key(), version: rapid.Int16Range(0, resp.MaxVersion()).Draw(t, "version")}
	resp.SetVersion(of.version)
	if r, ok := resp.(*kmsg.ApiVersionsResponse); ok && r.ErrorCode == unsupported {
		r.ErrorCode = 0
	}
	if resp.IsFlexible() && of.key != int16(kmsg.ApiVersions) {
		body = append(body, 0)
	}
	return of, resp.AppendTo(body)
}

// decode reads an answer as the client does, and says how many bytes that took: the least of three times, since the runtime takes
// some of its own now and then.
func decode(of asked, body []byte) (took int64, err error) {
	took = math.MaxInt64
	for range 3 {
		once, failed := decodeOnce(of, body)
		took, err = min(took, once), failed
	}
	return took, err
}

func decodeOnce(of asked, body []byte) (took int64, err error) {
	resp := kmsg.ResponseForKey(of.key)
	resp.SetVersion(of.version)
	if of.key == int16(kmsg.ApiVersions) && len(body) > 1 && body[1] == unsupported {
		resp.SetVersion(0)
	}
	if resp.IsFlexible() && of.key != int16(kmsg.ApiVersions) {
		if len(body) == 0 || body[0] != 0 {
			return 0, nil
		}
		body = body[1:]
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err = resp.ReadFrom(body)
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc), err
}

// walked is what the check says, and of how much memory it has heard.
func walked(of asked, body []byte) (w *walker, problem string) {
	w = layouts[of.key].walker(of, body)
	return w, w.problem
}

// full has two of everything that an answer may have.
func full(v reflect.Value) {
	if v.Type() == reflect.TypeFor[kmsg.Tags]() {
		v.Addr().Interface().(*kmsg.Tags).Set(99, []byte{1, 2, 3})
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			full(v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		full(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		full(v.Index(0))
		full(v.Index(1))
	case reflect.String:
		v.SetString("text")
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(7)
	}
}

func TestEveryVersionIsUnderstood(t *testing.T) {
	for key := range layouts {
		resp := kmsg.ResponseForKey(key)
		for version := range resp.MaxVersion() + 1 {
			full(reflect.ValueOf(resp).Elem())
			resp.SetVersion(version)
			var body []byte
			if resp.IsFlexible() && key != int16(kmsg.ApiVersions) {
				body = append(body, 0)
			}
			body = resp.AppendTo(body)
			of := asked{key: key, version: version}
			w, problem := walked(of, body)
			if problem != "" || len(w.left) != 0 {
				t.Errorf("%s version %d: %q, %d bytes left of %d", kmsg.NameForKey(key), version, problem, len(w.left), len(body))
			}
			if took, err := decode(of, body); err != nil || took > most(w.decoded) {
				t.Errorf("%s version %d takes %d bytes, and %d were counted: %v", kmsg.NameForKey(key), version, took, w.decoded, err)
			}
		}
	}
}

func TestEveryAnswerOfTheClientsLibraryIsUnderstood(t *testing.T) {
	decoded := 0
	rapid.Check(t, func(t *rapid.T) {
		of, body := anAnswer(t)
		w, problem := walked(of, body)
		if problem != "" || len(w.left) != 0 {
			t.Fatalf("%s version %d: %q, %d bytes left of %d", kmsg.NameForKey(of.key), of.version, problem, len(w.left), len(body))
		}
		took, err := decode(of, body)
		if err != nil {
			return // a null where none may be
		}
		decoded++
		if took > most(w.decoded) {
			t.Fatalf("%s version %d takes %d bytes, and %d were counted", kmsg.NameForKey(of.key), of.version, took, w.decoded)
		}
		if cut := rapid.IntRange(0, len(body)-1).Draw(t, "cut"); len(body) > 0 {
			if _, problem := walked(of, body[:cut]); problem == "" {
				t.Fatalf("%s version %d: the first %d of %d bytes are taken for all", kmsg.NameForKey(of.key), of.version, cut, len(body))
			}
		}
	})
	if decoded == 0 {
		t.Error("the client could decode none of them")
	}
}

func TestWhatIsLetThroughTakesWhatWasCounted(t *testing.T) {
	let := 0
	rapid.Check(t, func(t *rapid.T) {
		of, body := anAnswer(t)
		for range rapid.IntRange(1, 4).Draw(t, "hits") {
			if len(body) > 0 {
				body[rapid.IntRange(0, len(body)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
			}
		}
		body = append(body, make([]byte, rapid.SampledFrom([]int{0, 100, 60_000}).Draw(t, "more"))...)
		w, problem := walked(of, body)
		if problem != "" {
			return
		}
		let++
		if took, _ := decode(of, body); took > most(w.decoded) {
			t.Fatalf("%s version %d takes %d bytes, and %d were counted", kmsg.NameForKey(of.key), of.version, took, w.decoded)
		}
	})
	if let == 0 {
		t.Error("nothing was let through")
	}
}

// FuzzAnswers decodes what is let through of any bytes.
func FuzzAnswers(f *testing.F) {
	for key := range layouts {
		resp := kmsg.ResponseForKey(key)
		full(reflect.ValueOf(resp).Elem())
		resp.SetVersion(resp.MaxVersion())
		f.Add(uint8(key), uint8(resp.MaxVersion()), resp.AppendTo([]byte{0}))
	}
	f.Fuzz(func(t *testing.T, key, version uint8, body []byte) {
		of := asked{key: int16(key), version: int16(version)}
		if _, ok := layouts[of.key]; !ok || of.version > kmsg.ResponseForKey(of.key).MaxVersion() {
			return
		}
		w, problem := walked(of, body)
		if problem != "" {
			return
		}
		if took, _ := decode(of, body); took > most(w.decoded) {
			t.Errorf("%s version %d takes %d bytes, and %d were counted", kmsg.NameForKey(of.key), of.version, took, w.decoded)
		}
	})
}
