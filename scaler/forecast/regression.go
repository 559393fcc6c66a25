package forecast

import "math"

// regression is weighted least squares with exponential forgetting, kept as its normal equations: these stay bounded
// whatever the features do, and the ridge keeps directions that were not seen lately near zero.
type regression struct {
	a []float32 // Σ w·x·xᵀ, decayed, the lower triangle by rows
	b []float32 // Σ w·x·y, decayed
	w []float32 // the solution
	n float32   // Σ w, decayed
}

const (
	// ridge is added to each feature's own sum of squares as a share of it, with a thousandth of what 1 would sum to.
	ridge = 0.02
	// maxFeatures bounds the features of a regression.
	maxFeatures = 32
	// solveSeconds is the time between two solutions.
	solveSeconds = 1800
)

// regressionSize is how many numbers a regression of n features holds.
func regressionSize(n int) int { return n*(n+1)/2 + 2*n }

// newRegression takes its numbers from the front of a pool, and gives the rest of it back.
func newRegression(n int, pool []float32) (regression, []float32) {
	k := n * (n + 1) / 2
	return regression{a: pool[:k:k], b: pool[k : k+n : k+n], w: pool[k+n : k+2*n : k+2*n]}, pool[k+2*n:]
}

// learn adds the outcome y of the features x.
func (r *regression) learn(x []float32, y, weight, keep float64) {
	d, w := float32(keep), float32(weight)
	k := 0
	for i, xi := range x {
		xi *= w
		row := r.a[k : k+i+1]
		for j := range row {
			row[j] = row[j]*d + xi*x[j]
		}
		k += i + 1
		r.b[i] = r.b[i]*d + xi*float32(y)
	}
	r.n = r.n*d + w
}

// solve finds the weights by Cholesky's decomposition L·Lᵀ of Σ w·x·xᵀ with the ridge; where that fails the last ones stay.
func (r *regression) solve() {
	var l [maxFeatures][maxFeatures]float64
	var z [maxFeatures]float64
	n := len(r.b)
	k := 0
	for i := range n {
		for j := range i + 1 {
			s := float64(r.a[k])
			k++
			if i == j {
				s += ridge*(s+0.001*float64(r.n)) + 1e-6
			}
			for m := range j {
				s -= l[i][m] * l[j][m]
			}
			if i != j {
				l[i][j] = s / l[j][j]
				continue
			}
			if !(s > 0) {
				return
			}
			l[i][i] = math.Sqrt(s)
		}
		s := float64(r.b[i])
		for m := range i {
			s -= l[i][m] * z[m]
		}
		z[i] = s / l[i][i]
	}
	for i := n - 1; i >= 0; i-- {
		for m := i + 1; m < n; m++ {
			z[i] -= l[m][i] * z[m]
		}
		z[i] /= l[i][i]
		r.w[i] = float32(z[i])
	}
}

// predict is what the last solution says of the features x.
func (r *regression) predict(x []float32) float64 {
	s := 0.0
	for i, w := range r.w {
		s += float64(w * x[i])
	}
	return s
}
