package config

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Ledger says where decisions are recorded, how much of it is kept, and where copies go. Times are machine time.
type Ledger struct {
	// Folder is the same as ledgerDir.
	Folder string `json:"folder,omitempty"`
	// MaxSize is what it may take on disk; the oldest part is deleted. 2Gi by default.
	MaxSize resource.Quantity `json:"maxSize,omitzero"`
	// MaxAge is how old its oldest part may become; 840h, 35 days, by default.
	MaxAge metav1.Duration `json:"maxAge,omitempty"`
	// Stdout writes each line to standard output too; logs go to standard error.
	Stdout bool `json:"stdout,omitempty"`
	// S3 is where parts are copied to when they are full, and at least hourly; nil is nowhere.
	S3 *LedgerS3 `json:"s3,omitempty"`
}

// LedgerS3 is a bucket. Credentials come from the environment, as for aws; s3:PutObject is all that they need to allow.
type LedgerS3 struct {
	// Bucket's name.
	Bucket string `json:"bucket"`
	// Prefix of the objects' keys; one cluster's ledger has one of its own.
	Prefix string `json:"prefix,omitempty"`
	// Region of the bucket; aws.region by default.
	Region string `json:"region,omitempty"`
	// Endpoint replaces the service's own; empty outside tests.
	Endpoint string `json:"endpoint,omitempty"`
}

// leastLedger is what maxSize may be at least: some files of a sensible size.
const leastLedger = 1 << 20

func (c *Scaler) setLedgerDefaults() {
	l := &c.Ledger
	if l.Folder == "" {
		l.Folder = c.LedgerDir
	}
	if c.LedgerDir == "" {
		c.LedgerDir = l.Folder
	}
	if l.MaxSize.IsZero() {
		l.MaxSize = resource.MustParse("2Gi")
	}
	if l.MaxAge.Duration == 0 {
		l.MaxAge.Duration = 35 * 24 * time.Hour
	}
	if l.S3 != nil && l.S3.Region == "" {
		l.S3.Region = c.AWS.Region
	}
}

func (c *Scaler) validateLedger(say func(format string, args ...any)) {
	l := c.Ledger
	switch {
	case c.LedgerDir == "":
		say("ledgerDir is empty: give a folder that the scaler may write to")
	case l.Folder != "" && l.Folder != c.LedgerDir:
		say("ledger.folder is %q, and ledgerDir %q: leave one of them out", l.Folder, c.LedgerDir)
	}
	if size := l.MaxSize.Value(); !l.MaxSize.IsZero() && size < leastLedger {
		say("ledger.maxSize is %s: give at least 1Mi, such as 2Gi", l.MaxSize.String())
	}
	if l.MaxAge.Duration < 0 {
		say("ledger.maxAge is %s: give a time above zero", l.MaxAge.Duration)
	}
	if l.S3 != nil && l.S3.Bucket == "" {
		say("ledger.s3.bucket is empty: give the name of a bucket, or leave ledger.s3 out")
	}
}

// String names the place for logs.
func (s LedgerS3) String() string { return fmt.Sprintf("s3://%s/%s", s.Bucket, s.Prefix) }
