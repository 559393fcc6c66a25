package learn

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"swell/nodegroups"
)

const (
	slowerBoots = 5    // of each image, at least
	slowerRatio = 1.5  // of the medians
	slowerZ     = 2.33 // one-sided, one in a hundred by chance
)

// Slower says that a new image boots slower than the one before it did in the same zone, type and market.
type Slower struct {
	Zone, Type           string
	Market               nodegroups.Market
	Image, Former        string
	Median, FormerMedian time.Duration
	Boots, FormerBoots   int
}

func (s Slower) String() string {
	return fmt.Sprintf("image %s takes %s to a Ready node (median of %d boots), image %s took %s (of %d), on %s %s in %s",
		s.Image, s.Median.Round(time.Second), s.Boots, s.Former, s.FormerMedian.Round(time.Second), s.FormerBoots, s.Market, s.Type, s.Zone)
}

// Slower images, sorted: the newest of a zone, type and market against the one before it, by a rank test (Mann and Whitney,
// 1947, with the normal approximation) on top of the ratio, so that neither one slow boot nor a small difference counts.
func (b *Boots) Slower() []Slower {
	type place struct {
		zone, kind string
		market     nodegroups.Market
	}
	images := map[place][]BootKey{}
	for _, k := range b.Keys() {
		if b.Count(k, Ready) > 0 {
			p := place{k.Zone, k.Type, k.Market}
			images[p] = append(images[p], k)
		}
	}
	var out []Slower
	for p, keys := range images {
		if len(keys) < 2 {
			continue
		}
		// the image that came first is the one whose first boot is oldest
		slices.SortFunc(keys, func(x, y BootKey) int {
			return cmp.Or(b.seen[x][0].Launched.Compare(b.seen[y][0].Launched), cmp.Compare(x.Image, y.Image))
		})
		former, latest := keys[len(keys)-2], keys[len(keys)-1]
		was, is := took(b.seen[former], Ready), took(b.seen[latest], Ready)
		if len(was) < slowerBoots || len(is) < slowerBoots || median(is) <= slowerRatio*median(was) || rankZ(is, was) < slowerZ {
			continue
		}
		out = append(out, Slower{Zone: p.zone, Type: p.kind, Market: p.market, Image: latest.Image, Former: former.Image,
			Median: seconds(median(is)), FormerMedian: seconds(median(was)), Boots: len(is), FormerBoots: len(was)})
	}
	slices.SortFunc(out, func(x, y Slower) int {
		return cmp.Or(cmp.Compare(x.Zone, y.Zone), cmp.Compare(x.Type, y.Type), cmp.Compare(x.Market, y.Market))
	})
	return out
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

// rankZ is how far above chance the values of a lie over those of b, in standard deviations; ties count half.
func rankZ(a, b []float64) float64 {
	u := 0.0
	for _, x := range a {
		for _, y := range b {
			switch {
			case x > y:
				u++
			case x == y:
				u += 0.5
			}
		}
	}
	n, m := float64(len(a)), float64(len(b))
	return (u - n*m/2) / math.Sqrt(n*m*(n+m+1)/12)
}
