package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// least is what a configuration must say.
const least = "aws: {region: ap-northeast-1}\nledgerDir: /ledger\n"

func TestLoadScalerFillsDefaults(t *testing.T) {
	c, err := LoadScaler(writeFile(t, least))
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]struct{ got, want time.Duration }{
		"leaderElection.leaseDuration": {c.LeaderElection.LeaseDuration.Duration, 15 * time.Second},
		"observe.awsEvery":             {c.Observe.AWSEvery.Duration, 10 * time.Second},
		"observe.maxAge":               {c.Observe.MaxAge.Duration, time.Minute},
		"observe.tickEvery":            {c.Observe.TickEvery.Duration, 10 * time.Second},
		"observe.settle":               {c.Observe.Settle.Duration, 250 * time.Millisecond},
		"lead.bootP95":                 {c.Lead.BootP95.Duration, 2 * time.Minute},
		"lead.hpaDelay":                {c.Lead.HPADelay.Duration, 30 * time.Second},
		"lead.podStart":                {c.Lead.PodStart.Duration, 20 * time.Second},
		"history.sampleEvery":          {c.History.SampleEvery.Duration, time.Minute},
	} {
		if d.got != d.want {
			t.Errorf("%s is %s: want %s", name, d.got, d.want)
		}
	}
	if c.History.TimeZone != "UTC" || c.LeaderElection.Namespace != "" || c.HealthAddress != "" || c.MetricsAddress != "" {
		t.Errorf("%+v: want UTC, no leader election, no addresses", c)
	}
}

func TestLoadScalerKeepsWhatIsGiven(t *testing.T) {
	c, err := LoadScaler(writeFile(t, `
aws: {region: ap-northeast-1, endpoint: "http://127.0.0.1:9", queueURL: "http://127.0.0.1:9/q"}
ledgerDir: /ledger
prices: {m6i.4xlarge: {onDemand: 0.992, spot: 0.31}}
leaderElection: {namespace: swell-system, leaseDuration: 30s}
observe: {awsEvery: 5s, maxAge: 2m, tickEvery: 3s, settle: 1s}
lead: {bootP95: 90s, hpaDelay: 15s, podStart: 5s}
history: {sampleEvery: 30s, checkpoints: swell-system, timeZone: Asia/Tokyo, files: [{namespace: shop, balloon: web, file: past.csv}]}
healthAddress: ":8081"
metricsAddress: ":8080"
clock: {speed: 10, real: 2026-12-01T00:00:00Z, model: 2026-03-02T09:00:00+09:00}
`))
	if err != nil {
		t.Fatal(err)
	}
	if c.Observe.Settle.Duration != time.Second || c.Lead.BootP95.Duration != 90*time.Second || c.LeaderElection.LeaseDuration.Duration != 30*time.Second ||
		c.Prices["m6i.4xlarge"].Spot != 0.31 || c.History.Files[0].Balloon != "web" || c.History.TimeZone != "Asia/Tokyo" || c.AWS.QueueURL == "" {
		t.Errorf("%+v", c)
	}
	if !c.Clock.Model.Equal(time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)) || c.Clock.Speed != 10 {
		t.Errorf("clock %+v", c.Clock)
	}
}

func TestTheLedgersSectionMayNameItsFolder(t *testing.T) {
	c, err := LoadScaler(writeFile(t, "aws: {region: ap-northeast-1}\nledger: {folder: /ledger, s3: {bucket: b}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if l := c.Ledger; c.LedgerDir != "/ledger" || l.MaxSize.Value() != 2<<30 || l.MaxAge.Duration != 840*time.Hour || l.S3.Region != "ap-northeast-1" || l.Stdout {
		t.Errorf("%+v", c)
	}
	if c, err = LoadScaler(writeFile(t, least+"ledger: {maxSize: 5Gi, maxAge: 24h, stdout: true}")); err != nil || c.Ledger.MaxSize.Value() != 5<<30 || c.Ledger.MaxAge.Duration != 24*time.Hour || !c.Ledger.Stdout || c.Ledger.Folder != "/ledger" {
		t.Errorf("%+v, %v", c.Ledger, err)
	}
}

func TestLoadScalerNamesFileFieldAndMend(t *testing.T) {
	for name, tc := range map[string]struct{ text, field, mend string }{
		"unknown field":        {least + "ledgerdirectory: /x", "ledgerdirectory", "correct its name"},
		"unknown field within": {least + "observe: {awsEvry: 5s}", "awsEvry", "correct its name"},
		"twice in a map":       {least + "ledgerDir: /y", "ledgerDir", "correct it, or leave the field out"},
		"no duration":          {least + "lead: {bootP95: 90}", "", "give a duration with its unit"},
		"not YAML":             {"aws: [", "", "correct the YAML"},
		"empty":                {"", "aws.region is empty", "give the region"},
		"no region":            {"ledgerDir: /ledger", "aws.region is empty", "ap-northeast-1"},
		"no ledger":            {"aws: {region: a}", "ledgerDir is empty", "give a folder"},
		"two folders":          {least + "ledger: {folder: /other}", "ledger.folder is", "leave one of them out"},
		"ledger size":          {least + "ledger: {maxSize: 1k}", "ledger.maxSize is 1k", "such as 2Gi"},
		"ledger no size":       {least + "ledger: {maxSize: 2 GB}", "ledger.maxSize", "2Gi"},
		"ledger age":           {least + "ledger: {maxAge: -1h}", "ledger.maxAge is -1h0m0s", "above zero"},
		"ledger bucket":        {least + "ledger: {s3: {prefix: a}}", "ledger.s3.bucket is empty", "name of a bucket"},
		"price":                {least + "prices: {m5.large: {onDemand: -1, spot: 1}}", "prices.m5.large is below zero", "an instance an hour"},
		"spot price":           {least + "prices: {m5.large: {onDemand: 1, spot: -1}}", "prices.m5.large is below zero", "an instance an hour"},
		"lease":                {least + "leaderElection: {leaseDuration: -1s}", "leaderElection.leaseDuration is -1s", "above zero"},
		"awsEvery":             {least + "observe: {awsEvery: -1s}", "observe.awsEvery is -1s", "above zero"},
		"maxAge":               {least + "observe: {maxAge: -1s}", "observe.maxAge is -1s", "above zero"},
		"tickEvery":            {least + "observe: {tickEvery: -1s}", "observe.tickEvery is -1s", "above zero"},
		"settle":               {least + "observe: {settle: -1s}", "observe.settle is -1s", "above zero"},
		"bootP95":              {least + "lead: {bootP95: -1s}", "lead.bootP95 is -1s", "above zero"},
		"hpaDelay":             {least + "lead: {hpaDelay: -1s}", "lead.hpaDelay is -1s", "above zero"},
		"podStart":             {least + "lead: {podStart: -1s}", "lead.podStart is -1s", "above zero"},
		"sampleEvery":          {least + "history: {sampleEvery: -1s}", "history.sampleEvery is -1s", "above zero"},
		"maxAge too small":     {least + "observe: {awsEvery: 30s, maxAge: 20s}", "observe.maxAge is 20s", "observe.awsEvery"},
		"history file":         {least + "history: {files: [{namespace: shop, balloon: web, file: a}, {namespace: shop}]}", "history.files[1]", "give namespace, balloon and file"},
		"time zone":            {least + "history: {timeZone: Asia/Toky}", "history.timeZone", "Asia/Tokyo"},
		"severity":             {least + "notify: {minSeverity: warning}", "notify.minSeverity", "Info, Warning or Critical"},
		"two webhooks":         {least + "notify: {webhookFile: /a, webhookEnv: B}", "notify.webhookFile and notify.webhookEnv", "one of the two"},
		"notify.every":         {least + "notify: {every: -1s}", "notify.every is -1s", "above zero"},
		"no page":              {least + "notify: {pageURL: swell.example}", "notify.pageURL", "https://"},
		"guard rails":          {least + "guardRails: {mode: On}", "guardRails.mode", "Enforce or Observe"},
		"clock":                {least + "clock: {speed: 10}", "clock.speed", "clock.real and clock.model"},
	} {
		t.Run(name, func(t *testing.T) {
			path := writeFile(t, tc.text)
			_, err := LoadScaler(path)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range []string{path, tc.field, tc.mend} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

// A webhook's address is a secret: one that stands in the configuration by mistake is not repeated.
func TestAWebhooksAddressIsNotRepeated(t *testing.T) {
	for _, field := range []string{"webhookFile", "webhookEnv"} {
		_, err := LoadScaler(writeFile(t, least+"notify: {"+field+": \"https://hooks.slack.com/services/T0/B0/canary\"}"))
		if err == nil || !strings.Contains(err.Error(), "notify."+field+" is an address") || strings.Contains(err.Error(), "canary") {
			t.Error(err)
		}
	}
}

func TestLoadScalerReportsAllThatIsWrongInOneOrder(t *testing.T) {
	path := writeFile(t, "observe: {settle: -1s, maxAge: -2s}\nprices: {b: {onDemand: -1}, a: {spot: -1}}\nclock: {speed: 11}")
	_, first := LoadScaler(path)
	if first == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"aws.region", "ledgerDir", "observe.settle", "observe.maxAge", "prices.a", "prices.b", "clock.speed"} {
		if !strings.Contains(first.Error(), want) {
			t.Errorf("%q does not say %q", first, want)
		}
	}
	for range 20 {
		if _, again := LoadScaler(path); again == nil || again.Error() != first.Error() {
			t.Fatalf("%v\nthen\n%v", first, again)
		}
	}
}

func TestLoadScalerOfNoFileNamesItAndTheFlag(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing.yaml")
	if _, err := LoadScaler(path); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "--config") {
		t.Errorf("%v: want the path and the flag", err)
	}
}
