package examples

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// actionsOf a policy.
func actionsOf(t *testing.T, name string) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(home, "iam", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return actionsIn(t, name, raw)
}

func actionsIn(t *testing.T, where string, raw []byte) []string {
	t.Helper()
	var policy struct {
		Version   string
		Statement []struct {
			Effect string
			Action []string
		}
	}
	if err := json.Unmarshal(raw, &policy); err != nil || policy.Version != "2012-10-17" || len(policy.Statement) == 0 {
		t.Fatalf("%s: %v", where, err)
	}
	var all []string
	for _, s := range policy.Statement {
		if s.Effect != "Allow" {
			t.Errorf("%s: effect %q", where, s.Effect)
		}
		all = append(all, s.Action...)
	}
	slices.Sort(all)
	return all
}

// called are the AWS actions that Go files call, told by the input that each call is given.
func called(t *testing.T, match func(file string) bool) []string {
	t.Helper()
	// what IAM calls otherwise than the SDK; empty needs no permission
	otherwise := map[string]string{"sqs:DeleteMessageBatch": "sqs:DeleteMessage", "sts:GetCallerIdentity": ""}
	all := map[string]bool{}
	var paths []string
	for _, pattern := range []string{"nodegroups/aws/*.go", "cmd/swell/*.go", "cmd/swell-scaler/*.go", "cmd/swell-metrics/*.go", "scaler/*.go", "scaler/*/*.go", "metrics/*/*.go", "metrics/*/*/*.go"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") || !match(filepath.Base(path)) {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		services := map[string]string{}
		for _, i := range f.Imports {
			if service, ok := strings.CutPrefix(strings.Trim(i.Path.Value, `"`), "github.com/aws/aws-sdk-go-v2/service/"); ok && !strings.Contains(service, "/") {
				name := service
				if i.Name != nil {
					name = i.Name.Name
				}
				services[name] = service
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			lit, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			s, ok := lit.Type.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := s.X.(*ast.Ident)
			if !ok || services[x.Name] == "" || !strings.HasSuffix(s.Sel.Name, "Input") {
				return true
			}
			action := services[x.Name] + ":" + strings.TrimSuffix(s.Sel.Name, "Input")
			if other, ok := otherwise[action]; ok {
				action = other
			}
			if action != "" {
				all[action] = true
			}
			return true
		})
	}
	return slices.Sorted(maps.Keys(all))
}

func isCheck(file string) bool     { return strings.HasPrefix(file, "check") }
func isUninstall(file string) bool { return file == "restore.go" }

func isRead(action string) bool {
	_, verb, _ := strings.Cut(action, ":")
	return strings.HasPrefix(verb, "Describe") || strings.HasPrefix(verb, "List") || strings.HasPrefix(verb, "Get")
}

// beside are actions that no call names, with why they are needed all the same.
var beside = map[string]string{
	"ec2:CreateFleet":   "AWS names it as a prerequisite of LaunchInstances",
	"ssm:GetParameters": "DescribeLaunchTemplateVersions with ResolveAlias reads the image's parameter",
}

// TestThePoliciesAreWhatIsCalled: each action that the source calls is in the policy of who calls it, and nothing else is.
func TestThePoliciesAreWhatIsCalled(t *testing.T) {
	observe, enforce, check, uninstall := actionsOf(t, "observe"), actionsOf(t, "enforce"), actionsOf(t, "check"), actionsOf(t, "uninstall")
	for _, a := range observe {
		if !isRead(a) {
			t.Errorf("observe.json has %s, which is no reading", a)
		}
	}
	for _, a := range enforce {
		if isRead(a) {
			t.Errorf("enforce.json has %s, which is a reading", a)
		}
	}
	scaler := called(t, func(f string) bool { return !isCheck(f) && !isUninstall(f) })
	if len(scaler) < 15 {
		t.Fatalf("only %v are found in the source", scaler)
	}
	compare := func(what string, have, want []string) {
		t.Helper()
		have = slices.DeleteFunc(slices.Clone(have), func(a string) bool { return beside[a] != "" })
		if !slices.Equal(have, want) {
			t.Errorf("%s has\n%v\nthe source calls\n%v", what, have, want)
		}
	}
	compare("observe.json", observe, slices.DeleteFunc(slices.Clone(scaler), func(a string) bool { return !isRead(a) }))
	compare("enforce.json", enforce, slices.DeleteFunc(slices.Clone(scaler), isRead))
	all := slices.Concat(observe, enforce)
	compare("check.json", check, slices.DeleteFunc(called(t, isCheck), func(a string) bool { return slices.Contains(all, a) }))
	compare("uninstall.json", uninstall, called(t, isUninstall))
	for a := range beside {
		if !slices.Contains(all, a) {
			t.Errorf("%s is in no policy: %s", a, beside[a])
		}
	}
}

// TestThePageHasTheSamePolicies compares docs/aws.md, where the image's parameter and the check stand in words.
func TestThePageHasTheSamePolicies(t *testing.T) {
	page, err := os.ReadFile("docs/aws.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(page, -1)
	if len(blocks) != 2 {
		t.Fatalf("docs/aws.md has %d policies", len(blocks))
	}
	observe := slices.DeleteFunc(actionsOf(t, "observe"), func(a string) bool { return strings.HasPrefix(a, "ssm:") })
	if got := actionsIn(t, "docs/aws.md, to observe", blocks[0][1]); !slices.Equal(got, observe) {
		t.Errorf("to observe the page has\n%v\nthe file\n%v", got, observe)
	}
	if got := actionsIn(t, "docs/aws.md, to act", blocks[1][1]); !slices.Equal(got, actionsOf(t, "enforce")) {
		t.Errorf("to act the page has\n%v\nthe file\n%v", got, actionsOf(t, "enforce"))
	}
	for _, a := range slices.Concat(actionsOf(t, "check"), actionsOf(t, "uninstall")) {
		if !strings.Contains(string(page), "`"+a+"`") && !strings.Contains(string(page), `"`+a+`"`) {
			t.Errorf("docs/aws.md does not name %s", a)
		}
	}
}
