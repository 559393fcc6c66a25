package kafka

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestNamesThatKafkaDoesNotKnowAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		topics []string
		want   string
	}{
		"a long name":            {[]string{strings.Repeat("x", 250)}, "1 to 249 letters"},
		"no name":                {[]string{"orders", ""}, "1 to 249 letters"},
		"a dot":                  {[]string{"."}, "1 to 249 letters"},
		"two dots":               {[]string{".."}, "1 to 249 letters"},
		"another letter":         {[]string{"größe"}, "1 to 249 letters"},
		"two names in one":       {[]string{"mail\norders"}, "1 to 249 letters"},
		"one slash":              {[]string{"/orders"}, "1 to 249 letters"},
		"nothing between":        {[]string{"//"}, "1 to 249 letters"},
		"a long expression":      {[]string{"/" + strings.Repeat("x", 1023) + "/"}, "longer than 1024"},
		"no expression":          {[]string{"/or(ders/"}, "RE2"},
		"an expression on lines": {[]string{"/a\nb/"}, "cannot be printed"},
		"no text":                {[]string{"/\xff/"}, "cannot be printed"},
		"many":                   {manyTopics(101), "100 may be given"},
	} {
		if _, err := ParseTopics(tc.topics); err == nil || !strings.Contains(err.Error(), tc.want) || len(err.Error()) > 400 {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
	for name, topics := range map[string][]string{
		"long":                 {strings.Repeat("x", 249)},
		"dots":                 {"...", "a.b_c-D9"},
		"many":                 manyTopics(100),
		"many, but all alike":  slices.Repeat([]string{"orders"}, 101),
		"the longest":          {"/" + strings.Repeat("x", 1022) + "/"},
		"umlauts are one each": {"/" + strings.Repeat("ö", 1022) + "/"},
	} {
		if _, err := ParseTopics(topics); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func manyTopics(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("topic-%d", i))
	}
	return all
}

func TestGroupsThatCannotBeAskedAbout(t *testing.T) {
	for name, want := range map[string]string{"": "needs a name", strings.Repeat("x", 256): "longer than 255", "a\x00b": "printed", "a\u0085": "printed", "\xff": "printed"} {
		if err := ValidGroup(name); err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 200 {
			t.Errorf("%.20q: %v, want %q", name, err, want)
		}
	}
	for _, name := range []string{"g", "bestellungen für köln (2)", strings.Repeat("ö", 255)} {
		if err := ValidGroup(name); err != nil {
			t.Errorf("%.20q: %v", name, err)
		}
	}
}

func TestAGroupThatCannotBeAskedAboutFailsAlone(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(1, "orders"))
	b.produce("orders", 0, 10)
	b.commit("good", "orders", 0, 4)
	b.want("good", "orders")
	long := strings.Repeat("x", 40_000)
	b.want(long, "orders")
	b.kafka.Control(func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.kafka.KeepControl()
		var groups []string
		switch r := r.(type) {
		case *kmsg.FindCoordinatorRequest:
			groups = r.CoordinatorKeys
		case *kmsg.OffsetFetchRequest:
			for _, g := range r.Groups {
				groups = append(groups, g.Group)
			}
		}
		// As Kafka does from 32 KiB on.
		return nil, errHungUp, slices.ContainsFunc(groups, func(name string) bool { return len(name) > 1<<15 })
	})
	for range 3 {
		b.poll()
		if _, got := b.selected("good", "orders"); got.Lag != 6 || !got.Complete() {
			t.Errorf("the other group: %+v", got)
		}
		if v := b.view(long); !strings.Contains(v.Problem, "longer than 255 characters") {
			t.Errorf("its own problem: %.200q", v.Problem)
		}
	}
	b.wants = b.wants[1:]
	for range 3 {
		b.poll()
	}
}
