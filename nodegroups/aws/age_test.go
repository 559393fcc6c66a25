package aws

import "time"

// Age lets time pass for what a client has read.
func (c *Client) Age(d time.Duration) {
	was := c.now
	c.now = func() time.Time { return was().Add(d) }
}

// PriceOf is for the tests of what the price list says.
var PriceOf = priceListed

// Listed waits until the reading of the price list that is under way is over.
func (c *Client) Listed() { c.listings.Wait() }
