package ship_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"swell/api/config"
	"swell/bench/testbed/process"
	"swell/scaler/ledger"
	"swell/scaler/ledger/ship"
)

// startMoto starts moto's server, or ends the test as skipped where there is none and SWELL_REQUIRE does not have moto.
func startMoto(t *testing.T) string {
	t.Helper()
	path := os.Getenv("SWELL_MOTO")
	if path == "" {
		if found, err := exec.LookPath("moto_server"); err == nil && exec.Command(found, "--help").Run() == nil {
			path = found
		}
	}
	if path == "" {
		const mend = "moto_server is not on PATH: pip install 'moto[server]==5.2.1', or give its path as SWELL_MOTO"
		if slices.Contains(strings.Split(os.Getenv("SWELL_REQUIRE"), ","), "moto") {
			t.Fatal(mend)
		}
		t.Skip(mend)
	}
	port, err := process.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	p, err := process.Start(context.Background(), process.Spec{Name: "moto", Path: path, Args: []string{"-H", "127.0.0.1", "-p", strconv.Itoa(port)}, Log: filepath.Join(t.TempDir(), "moto.log")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop() })
	url := "http://127.0.0.1:" + strconv.Itoa(port)
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		answer, err := http.Get(url + "/moto-api/data.json")
		if err == nil {
			answer.Body.Close()
			return url
		}
		if time.Now().After(deadline) {
			t.Fatalf("moto does not answer: %v", err)
		}
	}
}

const bucket = "ledgers"

func client(endpoint string) *s3.Client {
	return s3.New(s3.Options{Region: "us-east-1", BaseEndpoint: &endpoint, UsePathStyle: true, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
}

// synced is a folder with all objects of the bucket, as "aws s3 sync" makes it.
func synced(t *testing.T, c *s3.Client) string {
	t.Helper()
	dir := t.TempDir()
	list, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: awssdk.String(bucket), Prefix: awssdk.String("blue/")})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list.Contents {
		got, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: awssdk.String(bucket), Key: o.Key})
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, strings.TrimPrefix(*o.Key, "blue/"))
		raw, err := io.ReadAll(got.Body)
		got.Body.Close()
		if err = errors.Join(err, os.MkdirAll(filepath.Dir(file), 0o755)); err == nil {
			err = os.WriteFile(file, raw, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// An S3 that refuses everything is asked for a few files a turn, its refusals are told once, and nothing is forgotten of what waits.
func TestARefusalIsToldOnceAndNotAskedForEachFile(t *testing.T) {
	var asked atomic.Int64
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := asked.Add(1)
		w.Header().Set("x-amz-request-id", fmt.Sprint("request-", n))
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message><RequestId>request-%d</RequestId></Error>", n)
	}))
	defer endpoint.Close()
	dir := t.TempDir()
	var log bytes.Buffer
	s, err := ship.New(t.Context(), ship.Options{Dir: dir, To: config.LedgerS3{Bucket: bucket, Prefix: "blue", Region: "us-east-1", Endpoint: endpoint.URL}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.OpenWith(dir, ledger.Options{SegmentSize: 2000, Kept: s.Done, MaxAge: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 100 {
		if err := l.Append(entry(n)); err != nil {
			t.Fatal(err)
		}
	}
	closed, err := ledger.ClosedIn(dir)
	if err != nil || len(closed) < 10 {
		t.Fatalf("%d closed files, %v: want all, since none was copied", len(closed), err)
	}
	for range 5 {
		s.Turn(t.Context(), l)
	}
	if n := asked.Load(); n < 5 || n > 5*3 {
		t.Errorf("%d files were tried in 5 turns: want up to 3 in each", n)
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 || !strings.Contains(log.String(), "AccessDenied") || !strings.Contains(log.String(), "s3:PutObject") {
		t.Errorf("%d errors are logged: want one that names the refusal and its mend: %s", n, log.String())
	}
	if n := testutil.ToFloat64(ship.Waiting); int(n) < len(closed) {
		t.Errorf("%v files wait by the metric: want all %d", n, len(closed))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// Two replicas that share a folder copy each file once where they take turns, and lose none where they do it at once.
func TestReplicasCopyASharedFolder(t *testing.T) {
	var mu sync.Mutex
	puts := map[string]int{}
	endpoint := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		puts[r.URL.Path]++
	}))
	defer endpoint.Close()
	dir := t.TempDir()
	replica := func() (*ship.Shipper, *ledger.Ledger) {
		s, err := ship.New(t.Context(), ship.Options{Dir: dir, To: config.LedgerS3{Bucket: bucket, Region: "us-east-1", Endpoint: endpoint.URL}})
		if err != nil {
			t.Fatal(err)
		}
		l, err := ledger.OpenWith(dir, ledger.Options{SegmentSize: 2000, Kept: s.Done})
		if err != nil {
			t.Fatal(err)
		}
		return s, l
	}
	a, la := replica()
	b, lb := replica()
	write := func(l *ledger.Ledger) {
		for n := range 30 {
			if err := l.Append(entry(n)); err != nil {
				t.Error(err)
			}
		}
	}
	write(la)
	if err := errors.Join(a.Ship(t.Context()), b.Ship(t.Context())); err != nil {
		t.Fatal(err)
	}
	if len(puts) < 3 {
		t.Fatalf("%d files were copied", len(puts))
	}
	for name, n := range puts {
		if n != 1 {
			t.Errorf("%s was copied %d times", name, n)
		}
	}
	var both sync.WaitGroup
	for s, l := range map[*ship.Shipper]*ledger.Ledger{a: la, b: lb} {
		both.Go(func() {
			write(l)
			for range 5 {
				if err := s.Ship(t.Context()); err != nil {
					t.Error(err)
				}
			}
			s.Last(l)
		})
	}
	both.Wait()
	if err := errors.Join(la.Close(), lb.Close()); err != nil {
		t.Fatal(err)
	}
	closed, err := ledger.ClosedIn(dir)
	if err != nil {
		t.Fatal(err)
	}
	a.Last(la) // what the other closed as its last
	for _, c := range closed {
		chain, err := c.Chain()
		if err != nil {
			t.Fatal(err)
		}
		if puts["/"+bucket+"/"+chain+"/"+c.Name+".gz"] == 0 {
			t.Errorf("%s of chain %q was not copied", c.Name, chain)
		}
	}
	if all, err := ledger.Verify(dir); err != nil || len(all) != 1 || all[0].Finding != nil {
		t.Errorf("%+v, %v", all, err)
	}
}

func entry(n int) ledger.Entry {
	at := time.Now()
	return ledger.Entry{At: at, Model: at, Phase: ledger.Note, Action: "problem", Object: fmt.Sprintf("object %d", n), Reason: strings.Repeat("because ", 20)}
}

// All that is written comes to S3, across a refusal and a restart, is read from there as one ledger, and holds.
func TestALedgerIsCopiedToS3(t *testing.T) {
	endpoint := startMoto(t)
	c := client(endpoint)
	dir := t.TempDir()
	to := config.LedgerS3{Bucket: bucket, Prefix: "blue", Region: "us-east-1", Endpoint: endpoint}
	begin := func() (*ledger.Ledger, *ship.Shipper) {
		s, err := ship.New(t.Context(), ship.Options{Dir: dir, To: to})
		if err != nil {
			t.Fatal(err)
		}
		l, err := ledger.OpenWith(dir, ledger.Options{SegmentSize: 5000, Kept: s.Done})
		if err != nil {
			t.Fatal(err)
		}
		return l, s
	}
	n := 0
	write := func(l *ledger.Ledger, more int) {
		for range more {
			if err := l.Append(entry(n)); err != nil {
				t.Fatal(err)
			}
			n++
		}
	}
	l, s := begin()
	write(l, 50)
	if err := s.Ship(t.Context()); err == nil || !strings.Contains(err.Error(), "NoSuchBucket") || !strings.Contains(err.Error(), "s3:PutObject") {
		t.Fatalf("copied to a bucket that there is not: %v", err)
	}
	if _, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: awssdk.String(bucket)}); err != nil {
		t.Fatal(err)
	}
	if err := s.Ship(t.Context()); err != nil {
		t.Fatal(err)
	}
	closed, err := ledger.ClosedIn(dir)
	if err != nil || len(closed) < 2 {
		t.Fatalf("%d closed files, %v", len(closed), err)
	}
	for _, x := range closed {
		if !s.Done(x.Name) {
			t.Errorf("%s was not copied", x.Name)
		}
	}
	s.Last(l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, s = begin()
	if !s.Done(closed[0].Name) {
		t.Errorf("after a restart it is not known that %s was copied", closed[0].Name)
	}
	write(l, 50)
	head, err := l.Head()
	if err != nil {
		t.Fatal(err)
	}
	write(l, 1)
	s.Last(l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	copied := synced(t, c)
	entries, torn, err := ledger.Read(copied)
	if err != nil || torn > 0 || len(entries) != n {
		t.Fatalf("%d entries, %d torn, %v: want %d", len(entries), torn, err, n)
	}
	for i, e := range entries {
		if e.Object != fmt.Sprintf("object %d", i) {
			t.Fatalf("entry %d is %s", i, e.Object)
		}
	}
	all, err := ledger.Verify(copied, head.Head)
	if err != nil || len(all) != 1 || all[0].Finding != nil || len(all[0].Anchored) != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
}
