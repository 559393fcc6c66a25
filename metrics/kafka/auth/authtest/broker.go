package authtest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var quiet = log.New(io.Discard, "", 0)

// Logins count the logins that a cluster's brokers have answered.
type Logins struct{ Accepted, Refused atomic.Int64 }

// VerifySASL makes a kfake cluster without SASL of its own offer one mechanism: each login's first message goes to verify,
// which returns the broker's answer. An error refuses the login; an Unaccepted is answered in the mechanism's own way.
func VerifySASL(c *kfake.Cluster, mechanism string, verify func(first []byte) ([]byte, error)) *Logins {
	logins := &Logins{}
	c.ControlKey(int16(kmsg.SASLHandshake), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		req := r.(*kmsg.SASLHandshakeRequest)
		resp := req.ResponseKind().(*kmsg.SASLHandshakeResponse)
		resp.SupportedMechanisms = []string{mechanism}
		if req.Mechanism != mechanism {
			resp.ErrorCode = kerr.UnsupportedSaslMechanism.Code
		}
		return resp, nil, true
	})
	c.ControlKey(int16(kmsg.SASLAuthenticate), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		req := r.(*kmsg.SASLAuthenticateRequest)
		resp := req.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		answer, err := verify(req.SASLAuthBytes)
		var unaccepted Unaccepted
		switch {
		case errors.As(err, &unaccepted):
			logins.Refused.Add(1)
			resp.SASLAuthBytes = []byte(unaccepted)
		case err != nil:
			logins.Refused.Add(1)
			resp.ErrorCode, resp.ErrorMessage = kerr.SaslAuthenticationFailed.Code, kmsg.StringPtr(err.Error())
		default:
			logins.Accepted.Add(1)
			resp.SASLAuthBytes = answer
		}
		return resp, nil, true
	})
	return logins
}

// Unaccepted is what a broker answers to a bearer token that it refuses, JSON of RFC 7628, 3.2.2.
type Unaccepted string

func (u Unaccepted) Error() string { return string(u) }

// ParseBearer reads the first message of OAUTHBEARER, RFC 7628, 3.1.
func ParseBearer(first []byte) (token string, extensions map[string]string, err error) {
	parts := strings.Split(string(first), "\x01")
	if len(parts) < 4 || parts[0] != "n,," || parts[len(parts)-1] != "" || parts[len(parts)-2] != "" {
		return "", nil, fmt.Errorf("%q is not n,,^Akey=value^A…^A^A", first)
	}
	extensions = map[string]string{}
	for _, pair := range parts[1 : len(parts)-2] {
		name, value, _ := strings.Cut(pair, "=")
		if name == "auth" {
			token = strings.TrimPrefix(value, "Bearer ")
			continue
		}
		extensions[name] = value
	}
	if token == "" {
		return "", nil, errors.New("no bearer token")
	}
	return token, extensions, nil
}

// MSKKey is who may sign for AWS_MSK_IAM.
type MSKKey struct{ AccessKey, SecretKey, SessionToken, Region, Host string }

// VerifyMSK checks the first message of AWS_MSK_IAM as a broker of Amazon MSK does: the signature is made anew from the secret.
func VerifyMSK(first []byte, key MSKKey, now time.Time) error {
	message := map[string]string{}
	if err := json.Unmarshal(first, &message); err != nil {
		return fmt.Errorf("not a JSON object of strings: %w", err)
	}
	scope := now.UTC().Format("20060102") + "/" + key.Region + "/kafka-cluster/aws4_request"
	for field, want := range map[string]string{
		"version": "2020_10_22", "host": key.Host, "action": "kafka-cluster:Connect", "x-amz-algorithm": "AWS4-HMAC-SHA256",
		"x-amz-credential": key.AccessKey + "/" + scope, "x-amz-signedheaders": "host", "x-amz-security-token": key.SessionToken,
	} {
		if message[field] != want {
			return fmt.Errorf("%s is %q, not %q", field, message[field], want)
		}
	}
	if message["user-agent"] == "" {
		return errors.New("user-agent is missing")
	}
	signedAt, err := time.Parse("20060102T150405Z", message["x-amz-date"])
	if err != nil {
		return fmt.Errorf("x-amz-date: %w", err)
	}
	seconds, err := time.ParseDuration(message["x-amz-expires"] + "s")
	if err != nil || seconds <= 0 || seconds > 15*time.Minute || now.Before(signedAt.Add(-time.Minute)) || now.After(signedAt.Add(seconds)) {
		return fmt.Errorf("x-amz-date %s with x-amz-expires %q does not hold", signedAt, message["x-amz-expires"])
	}
	if want := mskSignature(message, key.SecretKey, scope); !hmac.Equal([]byte(message["x-amz-signature"]), []byte(want)) {
		return errors.New("the signature is not the secret's")
	}
	return nil
}

// mskSignature is Signature Version 4 of GET / with the query's fields, as AWS documents it.
func mskSignature(message map[string]string, secret, scope string) string {
	var query []string
	for _, name := range []string{"Action", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-Security-Token", "X-Amz-SignedHeaders"} {
		if value, ok := message[strings.ToLower(name)]; ok {
			query = append(query, name+"="+strings.ReplaceAll(url.QueryEscape(value), "+", "%20"))
		}
	}
	slices.Sort(query)
	hash := func(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }
	request := "GET\n/\n" + strings.Join(query, "&") + "\nhost:" + message["host"] + "\n\nhost\n" + hash("")
	key := []byte("AWS4" + secret)
	for _, part := range append(strings.Split(scope, "/"), "AWS4-HMAC-SHA256\n"+message["x-amz-date"]+"\n"+scope+"\n"+hash(request)) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	return hex.EncodeToString(key)
}
