package record

// Remembered is how many tokens, raises and reasons wait for an instance.
func (l *Lives) Remembered() int {
	n := len(l.tokens) + len(l.why)
	for _, list := range l.raised {
		n += len(list)
	}
	if len(l.unseen) > n {
		n = len(l.unseen)
	}
	return n
}
