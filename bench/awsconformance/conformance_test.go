package awsconformance_test

import (
	"net/http"
	neturl "net/url"
	"slices"
	"strings"
	"testing"

	emulator "swell/bench/testbed/aws"
)

func cases() []conformanceCase {
	return slices.Concat(groupCases, tagCases, changeCases, updateCases, launchCases, hookCases, warmCases, ec2Cases, templateCases, sqsCases, accountCases, pricingCases)
}

func TestEveryOperationHasACase(t *testing.T) {
	seen, names := map[string]bool{}, map[string]bool{}
	for _, c := range cases() {
		if err := c.validate(); err != nil {
			t.Error(err)
		}
		if names[c.name()] {
			t.Errorf("two cases are called %q", c.name())
		}
		seen[c.op], names[c.name()] = true, true
	}
	var have []string
	for service, actions := range emulator.Operations() {
		for _, a := range actions {
			have = append(have, service+":"+a)
		}
	}
	for _, op := range have {
		if !seen[op] {
			t.Errorf("the emulator's %s has no case", op)
		}
	}
	for _, op := range motoHas {
		if !slices.Contains(have, op) || !seen[op] {
			t.Errorf("moto's %s is not the emulator's, or has no case", op)
		}
	}
}

func TestTheEmulatorAnswersAsDocumented(t *testing.T) {
	for _, c := range cases() {
		t.Run(c.name(), func(t *testing.T) {
			if got := normal(c.run(newEmulator(t))); got != c.want {
				t.Errorf("%s\nanswers %s\nwant    %s", c.docs, got, c.want)
			}
		})
	}
}

func TestMotoAndTheEmulatorAgree(t *testing.T) {
	url := startMoto(t)
	compared, agreed, differing := map[string]bool{}, 0, 0
	for _, c := range cases() {
		if !slices.Contains(motoHas, c.op) || c.alone != "" {
			continue
		}
		t.Run(c.name(), func(t *testing.T) {
			w := newMoto(t, url)
			theirs := normal(c.run(w))
			if w.seen.foreign {
				theirs = noAnswer
			} else {
				compared[c.op] = true
			}
			if c.moto != nil {
				differing++
				if theirs != c.moto.want {
					t.Errorf("moto's difference (%s) has changed: it answers\n%s\nand answered\n%s", c.moto.says, theirs, c.moto.want)
				}
				return
			}
			if ours := normal(c.run(newEmulator(t))); ours != theirs {
				t.Errorf("%s\nthe emulator answers %s\nmoto answers         %s", c.docs, ours, theirs)
			} else {
				agreed++
			}
		})
	}
	for _, op := range motoHas {
		if !compared[op] {
			t.Errorf("moto answered no case of %s: it does not implement it", op)
		}
	}
	t.Logf("%d operations: %d answers agree, %d are listed as moto's differences", len(compared), agreed, differing)
	whatMotoLacks(t, url)
}

// whatMotoLacks fails where moto answers an operation that motoHas does not list.
func whatMotoLacks(t *testing.T, url string) {
	versions := map[string]string{"autoscaling": "2011-01-01", "ec2": "2016-11-15", "iam": "2010-05-08", "sts": "2011-06-15"}
	for service, actions := range emulator.Operations() {
		for _, action := range actions {
			if slices.Contains(motoHas, service+":"+action) || versions[service] == "" {
				continue
			}
			form := neturl.Values{"Action": {action}, "Version": {versions[service]}}
			q, err := http.NewRequest(http.MethodPost, url, strings.NewReader(form.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			q.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=a/20261201/"+region+"/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
			r := &recorder{}
			answer, err := r.Do(q)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if !r.foreign {
				t.Errorf("moto answers %s:%s with %d: list it in motoHas", service, action, answer.StatusCode)
			}
		}
	}
}
