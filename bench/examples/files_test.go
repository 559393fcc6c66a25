// Package examples tries the folders of charts/examples as far as that goes on one machine.
package examples

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// home is where the examples are; TestMain makes the project's root the working directory.
const home = "charts/examples"

func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// noObjects are YAML files of other programs, by their patterns below home.
var noObjects = []string{"blue-green/helmfile.yaml", "blue-green/values/*.yaml", "eks/cluster.yaml"}

// objectFiles are the paths of all files with Kubernetes objects.
func objectFiles(t *testing.T) []string {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		below, err := filepath.Rel(home, path)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(noObjects, func(p string) bool { ok, _ := filepath.Match(p, below); return ok }) {
			paths = append(paths, path)
		}
		return nil
	})
	if err != nil || len(paths) < 10 {
		t.Fatal(err, paths)
	}
	return paths
}

// objects are those of a file.
func objects(t *testing.T, path string) []*unstructured.Unstructured {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	decoder := kyaml.NewYAMLOrJSONDecoder(bytes.NewReader(raw), 4096)
	var all []*unstructured.Unstructured
	for {
		o := &unstructured.Unstructured{}
		if err := decoder.Decode(&o.Object); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if len(o.Object) == 0 {
			continue
		}
		if o.GetKind() == "" || o.GetAPIVersion() == "" {
			t.Fatalf("%s has a document without kind and apiVersion", path)
		}
		all = append(all, o)
	}
}

func TestEachFolderSaysWhatItIs(t *testing.T) {
	index, err := os.ReadFile("docs/examples.md")
	if err != nil {
		t.Fatal(err)
	}
	folders, err := os.ReadDir(home)
	if err != nil || len(folders) < 10 {
		t.Fatal(err, folders)
	}
	link := regexp.MustCompile(`\]\(([^):#]+)(?:#[^)]*)?\)`)
	for _, f := range folders {
		readme := filepath.Join(home, f.Name(), "README.md")
		raw, err := os.ReadFile(readme)
		if err != nil {
			t.Errorf("%s: %v", f.Name(), err)
			continue
		}
		text := string(raw)
		for _, part := range []string{"\nWhat: ", "\nUse: ", "\nChange: "} {
			if !strings.Contains(text, part) {
				t.Errorf("%s has no %q", readme, strings.TrimSpace(part))
			}
		}
		if !regexp.MustCompile(`(?i)tried|run`).MatchString(text) {
			t.Errorf("%s does not say how far it was tried", readme)
		}
		if !bytes.Contains(index, []byte("(../charts/examples/"+f.Name()+")")) {
			t.Errorf("docs/examples.md does not name %s", f.Name())
		}
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(home, f.Name(), m[1])); err != nil {
				t.Errorf("%s: %v", readme, err)
			}
		}
	}
}

// tool is bin/NAME; without it the test is skipped, or fails where SWELL_REQUIRE names it.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("bin", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		if slices.Contains(strings.Split(os.Getenv("SWELL_REQUIRE"), ","), name) {
			t.Fatalf("finding %s: %v; run \"make bin/%s\"", name, err, name)
		}
		t.Skipf("skipped: there is no bin/%s; make bin/%s builds it", name, name)
	}
	return path
}

func TestSwellCheckTakesTheKinds(t *testing.T) {
	binary, err := filepath.Abs("bin/swell")
	if err != nil {
		t.Fatal(err)
	}
	kinds := 0
	for _, path := range objectFiles(t) {
		own := 0
		for _, o := range objects(t, path) {
			if strings.HasPrefix(o.GetAPIVersion(), "capacity.swell/") {
				own++
			}
		}
		if own == 0 {
			continue
		}
		kinds += own
		out, err := exec.CommandContext(t.Context(), binary, "check", path).CombinedOutput()
		if err != nil {
			t.Errorf("swell check %s: %v; run \"make build\" if bin/swell is missing\n%s", path, err, out)
		}
	}
	if kinds < 8 {
		t.Errorf("%d objects of swell's kinds are found", kinds)
	}
}

// TestTheValuesAreTheCharts renders the chart with the values of each cluster: the chart's schema refuses what it does not know.
func TestTheValuesAreTheCharts(t *testing.T) {
	helm := tool(t, "helm")
	for _, cluster := range []string{"blue", "green"} {
		values := filepath.Join(home, "blue-green", "values")
		command := exec.CommandContext(t.Context(), helm, "template", "swell", "charts/swell", "--namespace", "swell-system",
			"--values", filepath.Join(values, "common.yaml"), "--values", filepath.Join(values, cluster+".yaml"))
		dir := t.TempDir()
		command.Env = append(os.Environ(), "HELM_CACHE_HOME="+dir, "HELM_CONFIG_HOME="+dir, "HELM_DATA_HOME="+dir)
		out, err := command.CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("clusterName: "+cluster)) || !bytes.Contains(out, []byte("queueURL: https://sqs.ap-northeast-1.amazonaws.com/123456789012/swell-"+cluster)) {
			t.Errorf("%s: %v\n%.3000s", cluster, err, out)
		}
		// swell's own pods are not on nodes that swell returns; eks/cluster.yaml gives the others another role
		if n := bytes.Count(out, []byte("role: system")); n != 2 {
			t.Errorf("%s: %d of two programs are kept to the system's nodes", cluster, n)
		}
	}
}

// TestTheNodeGroupsAreOfOneZone compares eksctl's groups with what swell wants: one zone and one market each, both markets in each zone.
func TestTheNodeGroupsAreOfOneZone(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(home, "eks", "cluster.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		ManagedNodeGroups []struct {
			Name              string
			Spot              bool
			InstanceTypes     []string
			AvailabilityZones []string
			PropagateASGTags  bool
		}
	}
	if err := yaml.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile(filepath.Join(home, "eks", "tag-groups.sh"))
	if err != nil {
		t.Fatal(err)
	}
	markets := map[string]int{}
	for _, g := range file.ManagedNodeGroups {
		prefix, _, _ := strings.Cut(g.Name, "-")
		if g.Name == "system" {
			continue
		}
		if len(g.AvailabilityZones) != 1 || !strings.HasSuffix(g.AvailabilityZones[0], strings.TrimPrefix(g.Name, prefix+"-")) || !g.PropagateASGTags || len(g.InstanceTypes) == 0 {
			t.Errorf("%s: zones %v, propagateASGTags %v, types %v", g.Name, g.AvailabilityZones, g.PropagateASGTags, g.InstanceTypes)
		}
		if (prefix == "spot") != g.Spot || !strings.Contains(string(script), prefix+"-*) market=") {
			t.Errorf("%s: its market is not the one that tag-groups.sh reads from its name", g.Name)
		}
		for _, zone := range g.AvailabilityZones {
			markets[zone]++
		}
	}
	if len(markets) != 3 {
		t.Errorf("zones %v", markets)
	}
	for zone, n := range markets {
		if n != 2 {
			t.Errorf("zone %s has %d groups: want one of each market", zone, n)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "bash", "-n", filepath.Join(home, "eks", "tag-groups.sh")).CombinedOutput(); err != nil {
		t.Errorf("tag-groups.sh: %v %s", err, out)
	}
}

func TestTerraformIsParsedAndFormatted(t *testing.T) {
	hclfmt := tool(t, "hclfmt")
	paths, err := filepath.Glob(filepath.Join(home, "terraform", "*.tf"))
	if err != nil || len(paths) < 4 {
		t.Fatal(err, paths)
	}
	for _, how := range []string{"-check", "-require-no-change"} {
		if out, err := exec.CommandContext(t.Context(), hclfmt, append([]string{how}, paths...)...).CombinedOutput(); err != nil {
			t.Errorf("hclfmt %s: %v\n%.2000s", how, err, out)
		}
	}
}

// TestTheQueueGetsWhatTheScalerReads compares the event rules of Terraform with the events that the source knows.
func TestTheQueueGetsWhatTheScalerReads(t *testing.T) {
	source, err := os.ReadFile("nodegroups/aws/events.go")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := os.ReadFile(filepath.Join(home, "terraform", "interruptions.tf"))
	if err != nil {
		t.Fatal(err)
	}
	known := regexp.MustCompile(`case "((?:EC2|AWS) [^"]+)"`).FindAllSubmatch(source, -1)
	given := regexp.MustCompile(`type = "([^"]+)"`).FindAllSubmatch(rules, -1)
	names := func(found [][][]byte) []string {
		var out []string
		for _, m := range found {
			out = append(out, string(m[1]))
		}
		slices.Sort(out)
		return out
	}
	if k, g := names(known), names(given); len(k) < 4 || !slices.Equal(k, g) {
		t.Errorf("the source reads %q, the rules send %q", k, g)
	}
}
