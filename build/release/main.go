// Command release builds the programs as static binaries, the same bytes on every machine, and packs them with their licences, a bill
// of materials and checksums.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// release is what is built.
type release struct {
	root, out string
	version   string
	commit    string
	at        time.Time // of every file
	platforms []string  // GOOS/GOARCH
	programs  []string
	url       string // where the archives will be; empty is not known
	cache     string // of the compiler; empty is the usual one
	modules   map[string]module
}

// all are the programs; those of a cluster run on Linux alone.
var all = []string{"swell", "swell-metrics", "swell-scaler"}

var numbered = regexp.MustCompile(`^v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?$`)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var r release
	var platforms, programs string
	flag.StringVar(&r.version, "version", "", "version, such as v0.1.0")
	flag.StringVar(&r.out, "out", "out/release", "folder that is made anew")
	flag.StringVar(&platforms, "platforms", "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64", "GOOS/GOARCH, parted by commas")
	flag.StringVar(&programs, "programs", strings.Join(all, ","), "programs, parted by commas; off Linux the CLI alone")
	flag.StringVar(&r.url, "url", "", "address of the folder that the archives will be downloaded from, for krew's manifest; empty: none is written")
	check := flag.Bool("check", false, "build in two folders, the second with an empty cache, and compare the bytes")
	flag.Parse()
	r.platforms, r.programs = strings.Split(platforms, ","), strings.Split(programs, ",")
	err := r.prepare(ctx)
	if err == nil && *check {
		err = r.check(ctx)
	} else if err == nil {
		err = r.make(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// prepare finds what the source is.
func (r *release) prepare(ctx context.Context) error {
	if !numbered.MatchString(r.version) {
		return fmt.Errorf("--version is %q; give one such as v0.1.0", r.version)
	}
	for _, p := range r.programs {
		if !slices.Contains(all, p) {
			return fmt.Errorf("--programs names %q; there are %s", p, strings.Join(all, ", "))
		}
	}
	root, err := output(ctx, ".", "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	r.root = root
	if r.commit, err = output(ctx, root, "git", "rev-parse", "HEAD"); err != nil {
		return err
	}
	if changed, err := output(ctx, root, "git", "status", "--porcelain", "--untracked-files=no"); err != nil {
		return err
	} else if changed != "" {
		r.commit += "-dirty"
	}
	seconds := os.Getenv("SOURCE_DATE_EPOCH")
	if seconds == "" {
		if seconds, err = output(ctx, root, "git", "log", "-1", "--format=%ct"); err != nil {
			return err
		}
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return fmt.Errorf("reading SOURCE_DATE_EPOCH: %w; give seconds since 1970", err)
	}
	r.at = time.Unix(n, 0).UTC()
	if r.out, err = filepath.Abs(r.out); err != nil {
		return err
	}
	r.modules, err = readModules(ctx, root)
	return err
}

// make builds and packs everything into r.out.
func (r *release) make(ctx context.Context) error {
	if err := os.RemoveAll(r.out); err != nil {
		return err
	}
	var archives []archive
	for _, platform := range r.platforms {
		built, err := r.build(ctx, platform)
		if err != nil {
			return err
		}
		if len(built) == 0 {
			continue
		}
		a, err := r.pack(platform, built)
		if err != nil {
			return err
		}
		archives = append(archives, a)
	}
	if err := r.krew(archives); err != nil {
		return err
	}
	return r.sums()
}

// build gives the paths of a platform's binaries.
func (r *release) build(ctx context.Context, platform string) ([]string, error) {
	system, machine, ok := strings.Cut(platform, "/")
	if !ok {
		return nil, fmt.Errorf("--platforms names %q; give GOOS/GOARCH, such as linux/arm64", platform)
	}
	var built []string
	for _, program := range r.programs {
		if system != "linux" && program != "swell" {
			continue
		}
		path := filepath.Join(r.out, "bin", system+"-"+machine, program)
		fmt.Fprintf(os.Stderr, "%s  building %s for %s\n", time.Now().Format(time.TimeOnly), program, platform)
		c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", r.flags(), "-o", path, "./cmd/"+program)
		c.Dir = r.root
		c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+machine, "GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT=", "GOWORK=off")
		if r.cache != "" {
			c.Env = append(c.Env, "GOCACHE="+r.cache)
		}
		if text, err := c.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building %s for %s: %w\n%s", program, platform, err, text)
		}
		built = append(built, path)
	}
	return built, nil
}

func (r *release) flags() string {
	return "-s -w -buildid= -X swell/api/version.number=" + r.version + " -X swell/api/version.commit=" + r.commit
}

// check builds twice in different folders and compares all bytes.
func (r *release) check(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "swell-release-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var sums []string
	for i, name := range []string{"one", "another/and/deeper"} {
		copied := *r
		copied.root, copied.out = filepath.Join(dir, name, "source"), filepath.Join(dir, name, "out")
		if i > 0 {
			copied.cache = filepath.Join(dir, "cache")
		}
		if err := r.copySource(ctx, copied.root); err != nil {
			return err
		}
		if err := copied.make(ctx); err != nil {
			return err
		}
		text, err := os.ReadFile(filepath.Join(copied.out, sumsFile))
		if err != nil {
			return err
		}
		sums = append(sums, string(text))
	}
	if sums[0] != sums[1] {
		return fmt.Errorf("two builds of %s differ:\n%s\n%s", r.commit, sums[0], sums[1])
	}
	fmt.Printf("two builds in different folders, one of them with an empty cache, are the same:\n%s", sums[0])
	return nil
}

// copySource copies the files that git knows, as they are now.
func (r *release) copySource(ctx context.Context, to string) error {
	list, err := output(ctx, r.root, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return err
	}
	for _, name := range strings.Split(strings.Trim(list, "\x00"), "\x00") {
		info, err := os.Lstat(filepath.Join(r.root, name))
		if errors.Is(err, os.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
			continue
		}
		if err != nil {
			return err
		}
		text, err := os.ReadFile(filepath.Join(r.root, name))
		if err != nil {
			return err
		}
		path := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, text, info.Mode().Perm()); err != nil {
			return err
		}
	}
	return nil
}

// output of a command, without the last line's end.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Stderr = dir, os.Stderr
	text, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return strings.TrimRight(string(text), "\n"), nil
}
