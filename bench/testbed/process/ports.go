package process

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
)

// Ports are drawn below the range that the kernel gives to outgoing connections: a server that is killed
// and started again must find its port free, and a client that dials it in between must not be handed the
// same port for its own end.
const (
	lowestPort  = 10000
	highestPort = 32000
)

var reserved struct {
	sync.Mutex
	marks []net.Listener
}

// FreePorts are n ports in a row on 127.0.0.1, the first of them returned, that nothing listens on and that
// no other call gave away, in this process or another; they stay reserved until this process ends.
func FreePorts(n int) (int, error) {
	top := highestPort
	if low := ephemeralLow(); low > lowestPort+1000 && low < top {
		top = low
	}
	reserved.Lock()
	defer reserved.Unlock()
	for range 500 {
		first := lowestPort + rand.IntN(top-lowestPort-n)
		if marks := reserve(first, n); marks != nil {
			reserved.marks = append(reserved.marks, marks...)
			return first, nil
		}
	}
	return 0, fmt.Errorf("finding %d free ports between %d and %d: none in 500 draws; stop what listens there", n, lowestPort, top)
}

func reserve(first, n int) []net.Listener {
	var marks []net.Listener
	for port := first; port < first+n; port++ {
		// an abstract socket is a mark that every process sees and that vanishes with its holder
		mark, err := net.Listen("unix", "@swell-testbed-port-"+strconv.Itoa(port))
		if err == nil {
			marks = append(marks, mark)
			var probe net.Listener
			if probe, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
				err = probe.Close()
			}
		}
		if err != nil {
			for _, m := range marks {
				_ = m.Close()
			}
			return nil
		}
	}
	return marks
}

func ephemeralLow() int {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return 0
	}
	low, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\t")
	port, _ := strconv.Atoi(low)
	return port
}
