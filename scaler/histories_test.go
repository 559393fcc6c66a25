package scaler

import (
	"fmt"
	"testing"
	"time"
)

// Of many Balloons about as many are saved in each tenth of the time between two saves, and each once in that time.
func TestSavesAreSpreadOverTheTimeBetweenThem(t *testing.T) {
	const balloons = 500
	begin := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	tenths := map[int]int{}
	for i := range balloons {
		key := fmt.Sprintf("shop/web-%d", i)
		saves := 0
		for s := range int(saveEvery / time.Second) {
			at := begin.Add(time.Duration(s) * time.Second)
			if saveTurn(key, at) != saveTurn(key, at.Add(time.Second)) {
				tenths[s*10/int(saveEvery/time.Second)]++
				saves++
			}
		}
		if saves != 1 {
			t.Errorf("%s is saved %d times in %v: want once", key, saves, saveEvery)
		}
	}
	for tenth := range 10 {
		if n := tenths[tenth]; n < balloons/20 || n > balloons/5 {
			t.Errorf("%d of %d saves are in tenth %d: want about %d", n, balloons, tenth, balloons/10)
		}
	}
}
