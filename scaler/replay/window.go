package replay

// window is the largest value of the last length seconds, both ends included; see newLeast for the smallest.
type window struct {
	length int64
	sign   int
	kept   []stamped // values that no later one exceeds, oldest first
	head   int
}

type stamped struct {
	at int64
	v  int
}

func newMost(length int64) *window  { return &window{length: length, sign: 1} }
func newLeast(length int64) *window { return &window{length: length, sign: -1} }

// since is the extreme of the values of a time and later, of those that were added; there must be one.
func (w *window) since(at int64) int {
	for w.kept[w.head].at < at && w.head+1 < len(w.kept) {
		w.head++
	}
	return w.kept[w.head].v * w.sign
}

// add takes the value of a time, which is not before the last one's, and gives the window's extreme.
func (w *window) add(at int64, v int) int {
	v *= w.sign
	for len(w.kept) > w.head && w.kept[len(w.kept)-1].v <= v {
		w.kept = w.kept[:len(w.kept)-1]
	}
	w.kept = append(w.kept, stamped{at, v})
	w.since(at - w.length)
	if w.head > 1024 && w.head > len(w.kept)/2 {
		w.kept = append(w.kept[:0], w.kept[w.head:]...)
		w.head = 0
	}
	return w.kept[w.head].v * w.sign
}
