package aws

import (
	"testing"

	"swell/nodegroups"
)

// A p5.48xlarge measured by the quota of standard instances would pass, and be refused at its launch.
func TestTypesWithAQuotaOfTheirOwnAreNotComparedWithTheStandardOne(t *testing.T) {
	for name, want := range map[string][2]string{
		"m6i.4xlarge": {"L-1216C47A", "L-34B43A08"}, "c7gn.xlarge": {"L-1216C47A", "L-34B43A08"}, "im4gn.large": {"L-1216C47A", "L-34B43A08"}, "is4gen.large": {"L-1216C47A", "L-34B43A08"},
		"t3.micro": {"L-1216C47A", "L-34B43A08"}, "z1d.large": {"L-1216C47A", "L-34B43A08"}, "r8g.large": {"L-1216C47A", "L-34B43A08"},
		"g6e.xlarge": {"L-DB2E81BA", "L-3819A6DF"}, "gr6.4xlarge": {"L-DB2E81BA", "L-3819A6DF"}, "vt1.3xlarge": {"L-DB2E81BA", "L-3819A6DF"},
		"p4d.24xlarge": {"L-417A185B", "L-7212CCBC"}, "p5.48xlarge": {"L-417A185B", "L-C4BD4855"}, "inf2.xlarge": {"L-1945791B", "L-B5D1601B"}, "trn1.2xlarge": {"L-2C3B7624", "L-6B0D517C"},
		"dl1.24xlarge": {"L-6E869C2A", "L-85EED4F7"}, "f1.2xlarge": {"L-74FC7D96", "L-88CF9481"}, "x2idn.16xlarge": {"L-7295265B", "L-E3A00192"},
		"hpc7g.4xlarge": {"L-F7808C92", ""}, "u-6tb1.56xlarge": {"L-43DA4232", ""}, "mac2.metal": {"", ""}, "": {"", ""},
	} {
		onDemand, _ := quotaOf(name, nodegroups.OnDemand)
		spot, _ := quotaOf(name, nodegroups.Spot)
		if onDemand != want[0] || spot != want[1] {
			t.Errorf("%q: %s and %s, want %v", name, onDemand, spot, want)
		}
	}
}
