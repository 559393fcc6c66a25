package aws

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestReservationsThatCannotBeReadAgainStayAsTheyWere(t *testing.T) {
	denied := false
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if denied {
			rw.WriteHeader(http.StatusForbidden)
			fmt.Fprint(rw, `<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>no</Message></Error></Errors></Response>`)
			return
		}
		fmt.Fprint(rw, `<DescribeReservedInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><reservedInstancesSet><item>`+
			`<reservedInstancesId>r-1</reservedInstancesId><instanceType>m6i.large</instanceType><instanceCount>5</instanceCount><state>active</state>`+
			`<productDescription>Linux/UNIX</productDescription></item></reservedInstancesSet></DescribeReservedInstancesResponse>`)
	}))
	defer server.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	c, err := New(context.Background(), Options{Region: "ap-northeast-1", Endpoint: server.URL, Rate: 1000, Burst: 1000, Attempts: 1})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c.now = func() time.Time { return now }
	for _, denied = range []bool{false, true} {
		p, problems := c.Prepaid(t.Context(), nil)
		told := false
		for _, x := range problems {
			told = told || strings.Contains(x.What, "by reservations is unknown")
		}
		if len(p.Reservations) != 1 || p.Reservations[0].Count != 5 || told != denied {
			t.Errorf("denied %v: reservations %v, problems %v; want those of the first reading, and a problem where they were not read", denied, p.Reservations, problems)
		}
		now = now.Add(reservedMaxAge)
	}
}
