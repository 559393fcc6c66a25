package ship_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

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
