package auth_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sasl/aws"

	"swell/api/config"
	"swell/metrics/kafka/auth"
	"swell/metrics/kafka/auth/authtest"
)

// noAWS takes away what the machine may have of AWS.
func noAWS(t *testing.T, environment map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": "", "AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_PROFILE": "",
		"AWS_CONFIG_FILE": dir + "/config", "AWS_SHARED_CREDENTIALS_FILE": dir + "/credentials", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI": "", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "", "AWS_WEB_IDENTITY_TOKEN_FILE": "", "AWS_ROLE_ARN": "",
	} {
		t.Setenv(name, value)
	}
	for name, value := range environment {
		t.Setenv(name, value)
	}
}

// mskCluster takes what is signed with a key for 127.0.0.1; without TLS, which is another test's.
func mskCluster(t *testing.T, key func() authtest.MSKKey) (config.KafkaCluster, *authtest.Logins) {
	t.Helper()
	c := brokers(t)
	logins := authtest.VerifySASL(c, "AWS_MSK_IAM", func(first []byte) ([]byte, error) {
		k := key()
		k.Host = "127.0.0.1"
		if err := authtest.VerifyMSK(first, k, time.Now()); err != nil {
			return nil, err
		}
		return []byte(`{"version":"2020_10_22","request-id":"1"}`), nil
	})
	k := clusterAt(c)
	k.SASL = &config.KafkaSASL{Mechanism: config.SASLAWSMSKIAM, AWS: &config.MSKIdentity{Region: "eu-west-1"}}
	return k, logins
}

func TestMSKSignature(t *testing.T) {
	noAWS(t, map[string]string{"AWS_ACCESS_KEY_ID": "AKIAKEY", "AWS_SECRET_ACCESS_KEY": "wJalr/secret+key", "AWS_SESSION_TOKEN": "a/session+token=="})
	right := authtest.MSKKey{AccessKey: "AKIAKEY", SecretKey: "wJalr/secret+key", SessionToken: "a/session+token==", Region: "eu-west-1"}
	for name, tc := range map[string]struct {
		change func(*authtest.MSKKey)
		want   string
	}{
		"right":         {func(*authtest.MSKKey) {}, ""},
		"other secret":  {func(k *authtest.MSKKey) { k.SecretKey = "other" }, "signature is not the secret's"},
		"other region":  {func(k *authtest.MSKKey) { k.Region = "us-east-1" }, "x-amz-credential"},
		"other session": {func(k *authtest.MSKKey) { k.SessionToken = "other" }, "x-amz-security-token"},
	} {
		t.Run(name, func(t *testing.T) {
			key := right
			tc.change(&key)
			k, logins := mskCluster(t, func() authtest.MSKKey { return key })
			err := ask(t, k)
			if tc.want == "" {
				if err != nil || logins.Accepted.Load() == 0 {
					t.Fatal(err, logins.Accepted.Load())
				}
				return
			}
			wantError(t, err, []string{right.SecretKey}, tc.want, "kafka-cluster:Connect", "clusters[name=main].sasl.aws")
		})
	}
}

// The verifier must take what another signer makes, or it would only agree with ours.
func TestTheVerifierAgreesWithTheClientLibrary(t *testing.T) {
	key := authtest.MSKKey{AccessKey: "AKIAKEY", SecretKey: "s", SessionToken: "t+/=", Region: "eu-west-1", Host: "b-1.x.c2.kafka.eu-west-1.amazonaws.com"}
	theirs := aws.Auth{AccessKey: key.AccessKey, SecretKey: key.SecretKey, SessionToken: key.SessionToken}.AsManagedStreamingIAMMechanism()
	_, first, err := theirs.Authenticate(context.Background(), key.Host+":9098")
	if err != nil {
		t.Fatal(err)
	}
	if err := authtest.VerifyMSK(first, key, time.Now()); err != nil {
		t.Error(err)
	}
	if err := authtest.VerifyMSK(first, key, time.Now().Add(6*time.Minute)); err == nil {
		t.Error("a signature that is over was taken")
	}
	key.SecretKey = "other"
	if err := authtest.VerifyMSK(first, key, time.Now()); err == nil {
		t.Error("a signature of another secret was taken")
	}
}

func TestMSKKeysAreFoundAnewWhereTheyChange(t *testing.T) {
	noAWS(t, nil)
	dir := t.TempDir()
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", dir+"/credentials")
	current := "first"
	keys := func() {
		authtest.Write(t, dir, "credentials", fmt.Appendf(nil, "[default]\naws_access_key_id = AKIA%s\naws_secret_access_key = secret-%s\n", current, current))
	}
	keys()
	k, _ := mskCluster(t, func() authtest.MSKKey {
		return authtest.MSKKey{AccessKey: "AKIA" + current, SecretKey: "secret-" + current, Region: "eu-west-1"}
	})
	i := identity(t, k)
	if err := askAs(t, i, k); err != nil {
		t.Fatal(err)
	}
	current = "second"
	keys()
	if err := askAs(t, i, k); err != nil {
		t.Errorf("the keys were replaced in their file: %v", err)
	}
}

func TestMSKAssumesARoleAndRenewsIt(t *testing.T) {
	var assumed atomic.Int64
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || r.Form.Get("Action") != "AssumeRole" || r.Form.Get("RoleArn") != "arn:aws:iam::123456789012:role/kafka" ||
			!strings.Contains(r.Header.Get("Authorization"), "Credential=AKIABASE/") {
			http.Error(w, "bad request", http.StatusBadRequest)
			return
		}
		n := assumed.Add(1)
		fmt.Fprintf(w, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials><AccessKeyId>ASIA%d</AccessKeyId>`+
			`<SecretAccessKey>s%d</SecretAccessKey><SessionToken>t%d</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
			n, n, n, time.Now().Add(62*time.Second).UTC().Format(time.RFC3339))
	}))
	defer service.Close()
	noAWS(t, map[string]string{"AWS_ACCESS_KEY_ID": "AKIABASE", "AWS_SECRET_ACCESS_KEY": "base", "AWS_ENDPOINT_URL_STS": service.URL})
	k, logins := mskCluster(t, func() authtest.MSKKey {
		n := assumed.Load()
		return authtest.MSKKey{AccessKey: fmt.Sprintf("ASIA%d", n), SecretKey: fmt.Sprintf("s%d", n), SessionToken: fmt.Sprintf("t%d", n), Region: "eu-west-1"}
	})
	k.SASL.AWS.RoleARN = "arn:aws:iam::123456789012:role/kafka"
	i := identity(t, k)
	for range 5 {
		if err := askAs(t, i, k); err != nil {
			t.Fatal(err)
		}
	}
	if n := assumed.Load(); n != 1 {
		t.Errorf("the role was assumed %d times for five clients", n)
	}
	time.Sleep(2100 * time.Millisecond) // the credentials are renewed a minute before their end
	if err := askAs(t, i, k); err != nil || assumed.Load() != 2 || logins.Refused.Load() != 0 {
		t.Errorf("%v; assumed %d times, %d refused", err, assumed.Load(), logins.Refused.Load())
	}
	service.Close()
	time.Sleep(2100 * time.Millisecond)
	k.RequestTimeout.Duration = time.Second
	wantError(t, ask(t, k), []string{"s2"}, "role/kafka", "clusters[name=main].sasl.aws.roleARN")
}

func TestMSKWithoutCredentialsOrRegion(t *testing.T) {
	noAWS(t, nil)
	k, _ := mskCluster(t, func() authtest.MSKKey { return authtest.MSKKey{} })
	k.RequestTimeout.Duration = 2 * time.Second
	wantError(t, ask(t, k), nil, "get AWS credentials", "IRSA")
	noAWS(t, map[string]string{"AWS_ACCESS_KEY_ID": "AKIAKEY", "AWS_SECRET_ACCESS_KEY": "hidden"})
	k.SASL.AWS = nil
	wantError(t, ask(t, k), []string{"hidden"}, "region is not known", "clusters[name=main].sasl.aws.region")
}

func TestMSKTakesTheRegionFromTheHost(t *testing.T) {
	noAWS(t, map[string]string{"AWS_ACCESS_KEY_ID": "AKIAKEY", "AWS_SECRET_ACCESS_KEY": "hidden", "AWS_REGION": "us-east-1"})
	for host, want := range map[string]string{
		"b-1.x.y.c2.kafka.eu-west-1.amazonaws.com":                "eu-west-1",
		"b-1.x.y.c2.kafka.cn-north-1.amazonaws.com.cn":            "cn-north-1",
		"boot-a.c1.kafka-serverless.ap-northeast-1.amazonaws.com": "ap-northeast-1",
		"kafka.example": "us-east-1",
	} {
		k := config.KafkaCluster{Name: "main", SASL: &config.KafkaSASL{Mechanism: config.SASLAWSMSKIAM}}
		first, err := auth.FirstMessage(k, host+":9098")
		if err != nil {
			t.Fatal(err)
		}
		if err := authtest.VerifyMSK(first, authtest.MSKKey{AccessKey: "AKIAKEY", SecretKey: "hidden", Region: want, Host: host}, time.Now()); err != nil {
			t.Errorf("%s: %v", host, err)
		}
		var fields map[string]string
		if err := json.Unmarshal(first, &fields); err != nil || strings.Contains(string(first), "hidden") {
			t.Errorf("%s: %v %s", host, err, first)
		}
	}
}
