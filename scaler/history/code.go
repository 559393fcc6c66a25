package history

import "math"

// code is one row in two bytes: below codeZero a Class, codeZero no load, above it the load's logarithm.
type code uint16

const (
	codeZero  code = 16
	codeLeast code = 17
	// A load lies within a quarter of a percent of its code's: codes are 0.5 % apart, from leastLoad to mostLoad.
	leastLoad = 1e-6
	mostLoad  = 1e17
)

var (
	codeStep = math.Log(1.005)
	codeLow  = math.Log(leastLoad)
	codeMost = codeOf(mostLoad)
)

// codeOf a load; what no load can be is Invalid.
func codeOf(pods float64) code {
	switch {
	case math.IsNaN(pods) || pods < 0 || pods > mostLoad:
		return code(Invalid)
	case pods < leastLoad:
		return codeZero
	}
	return codeLeast + code(math.Round((math.Log(pods)-codeLow)/codeStep))
}

// value is the load of a code, NaN where it is a class.
func (c code) value() float64 {
	switch {
	case c < codeZero:
		return math.NaN()
	case c == codeZero:
		return 0
	}
	return math.Exp(codeLow + float64(c-codeLeast)*codeStep)
}

func (c code) known() bool { return c >= codeZero }

func (c code) class() Class {
	if c.known() {
		return Known
	}
	return Class(c)
}

// meanOf rows: the mean of the known ones where they are at least half, else the class that most of the others have.
func meanOf(rows []code) code {
	sum, n := 0.0, 0
	var count [codeZero]int
	for _, c := range rows {
		if c.known() {
			sum, n = sum+c.value(), n+1
		} else {
			count[c]++
		}
	}
	if n > 0 && 2*n >= len(rows) {
		return codeOf(sum / float64(n))
	}
	most := code(NoSample)
	for c := range count {
		if count[c] > count[most] {
			most = code(c)
		}
	}
	return most
}
