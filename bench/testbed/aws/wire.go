package aws

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const account = "123456789012"

// timestamp is an instant as the query protocols write it.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func writeXML(w http.ResponseWriter, status int, body string) {
	writeAll(w, status, "text/xml;charset=UTF-8", []byte(xml.Header+body))
}

// writeAll tells the length first, so that the answer ends with its last byte.
func writeAll(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client has gone if this fails
}

func encode(name string, v any) string {
	var b bytes.Buffer
	if err := xml.NewEncoder(&b).EncodeElement(v, xml.StartElement{Name: xml.Name{Local: name}}); err != nil {
		panic(fmt.Sprintf("encoding %s: %v", name, err)) // only plain structs get here
	}
	return b.String()
}

// queryWriter answers in the AWS query protocol of a namespace, as Auto Scaling, STS and IAM do.
func queryWriter(namespace string) func(w http.ResponseWriter, action, id string, result any) {
	return func(w http.ResponseWriter, action, id string, result any) {
		inner := ""
		if result != nil {
			inner = encode(action+"Result", result)
		}
		writeXML(w, http.StatusOK, fmt.Sprintf(`<%sResponse xmlns="%s">%s<ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata></%sResponse>`,
			action, namespace, inner, id, action))
	}
}

func queryFailer(namespace string) func(w http.ResponseWriter, id string, err *apiError) {
	return func(w http.ResponseWriter, id string, err *apiError) {
		sender := "Sender"
		if err.Status >= 500 {
			sender = "Receiver"
		}
		body := struct {
			XMLName xml.Name
			Type    string `xml:"Error>Type"`
			Code    string `xml:"Error>Code"`
			Message string `xml:"Error>Message"`
			ID      string `xml:"RequestId"`
		}{XMLName: xml.Name{Space: namespace, Local: "ErrorResponse"}, Type: sender, Code: err.Code, Message: err.Message, ID: id}
		raw, _ := xml.Marshal(body)
		writeXML(w, err.Status, string(raw))
	}
}

// writeEC2 answers in EC2's dialect: no wrapper, and the request id within.
func writeEC2(w http.ResponseWriter, action, id string, result any) {
	body := encode(action+"Response", result)
	open := "<" + action + "Response>"
	writeXML(w, http.StatusOK, fmt.Sprintf(`<%sResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>%s</requestId>%s`,
		action, id, strings.TrimPrefix(body, open)))
}

func failEC2(w http.ResponseWriter, id string, err *apiError) {
	body := struct {
		XMLName xml.Name `xml:"Response"`
		Code    string   `xml:"Errors>Error>Code"`
		Message string   `xml:"Errors>Error>Message"`
		ID      string   `xml:"RequestID"`
	}{Code: err.Code, Message: err.Message, ID: id}
	raw, _ := xml.Marshal(body)
	writeXML(w, err.Status, string(raw))
}

// closeToken makes a paging token that only its action takes back.
func closeToken(action, key string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(action + "\x00" + key))
}

func openToken(action, token string) (string, bool) {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return "", false
	}
	of, key, ok := strings.Cut(string(raw), "\x00")
	return key, ok && of == action
}
