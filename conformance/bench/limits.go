package bench

import (
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// raiseFiles lets this process, and the ones it starts, have n connections and something to spare.
func raiseFiles(n int) error {
	need := uint64(n + 500)
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("open files: %w", err)
	}
	if l.Max < need {
		if raised := (syscall.Rlimit{Cur: need, Max: need}); syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
			return nil // we are root
		}
		return fmt.Errorf("open files: %d needed, %d allowed; raise the hard limit (ulimit -Hn)", need, l.Max)
	}
	// Also when the runtime has raised the soft limit already: it would take that back for the processes we start.
	l.Cur = l.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("open files: %w", err)
	}
	return nil
}

// loopbackSources is how many addresses client connections to a loopback server come from: one gives about 28,000
// ports, of which those of the last minute's connections are taken.
const loopbackSources = 8

// dialer returns the dialer of the i-th client.
func dialer(i int, host string) net.Dialer {
	d := net.Dialer{KeepAlive: -1}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() && ip.To4() != nil {
		d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(1+i%loopbackSources))}
		d.Control = func(_, _ string, c syscall.RawConn) error {
			// The port is then chosen at connect, where one that is busy with another server is free.
			return c.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) })
		}
	}
	return d
}
