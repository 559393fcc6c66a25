package aws

import "testing"

// A p5.48xlarge measured by the quota of standard instances would pass, and be refused at its launch.
func TestTypesWithAQuotaOfTheirOwnAreNotComparedWithTheStandardOne(t *testing.T) {
	for name, want := range map[string]bool{"m6i.4xlarge": true, "c7gn.xlarge": true, "im4gn.large": true, "is4gen.large": true, "t3.micro": true, "z1d.large": true, "r8g.large": true,
		"p5.48xlarge": false, "g6e.xlarge": false, "inf2.xlarge": false, "trn1.2xlarge": false, "dl1.24xlarge": false, "hpc7g.4xlarge": false, "x2idn.16xlarge": false, "u-6tb1.56xlarge": false, "f1.2xlarge": false, "mac2.metal": false, "": false} {
		if got := standard(name); got != want {
			t.Errorf("%q: %t", name, got)
		}
	}
}
