package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of CPU time in /proc: USER_HZ is 100 on every Linux architecture Go runs on.
const tick = 10 * time.Millisecond

// cpuTime is what a process has used so far, all threads, ended ones too.
type cpuTime struct{ User, System time.Duration }

func (c cpuTime) total() time.Duration { return c.User + c.System }

func (c cpuTime) sub(d cpuTime) cpuTime { return cpuTime{c.User - d.User, c.System - d.System} }

// memory is in bytes.
type memory struct{ Resident, Peak int64 }

// readCPU reads utime and stime, fields 14 and 15 of /proc/PID/stat (proc_pid_stat(5)).
func readCPU(pid int) (cpuTime, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return cpuTime{}, err
	}
	c, err := parseStat(b)
	if err != nil {
		return cpuTime{}, err
	}
	// The process's CPU clock, which anybody may read (clock_getcpuclockid(3)), has nanoseconds; ticks only
	// divide them between user and system.
	var ts unix.Timespec
	if unix.ClockGettime(int32(^pid<<3|2), &ts) == nil && c.total() > 0 {
		exact := time.Duration(ts.Nano())
		c.System = time.Duration(float64(exact) * float64(c.System) / float64(c.total()))
		c.User = exact - c.System
	}
	return c, nil
}

// parseStat skips the command name, which may hold spaces and parentheses.
func parseStat(b []byte) (cpuTime, error) {
	i := bytes.LastIndexByte(b, ')')
	f := strings.Fields(string(b[i+1:]))
	if i < 0 || len(f) < 13 {
		return cpuTime{}, errors.New("process stat: too few fields")
	}
	var c cpuTime
	for _, v := range []struct {
		text string
		d    *time.Duration
	}{{f[11], &c.User}, {f[12], &c.System}} {
		n, err := strconv.ParseInt(v.text, 10, 64)
		if err != nil {
			return cpuTime{}, fmt.Errorf("process stat: %w", err)
		}
		*v.d = time.Duration(n) * tick
	}
	return c, nil
}

func readMemory(pid int) (memory, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return memory{}, err
	}
	return parseStatus(b)
}

// parseStatus reads VmRSS and VmHWM of proc_pid_status(5).
func parseStatus(b []byte) (m memory, err error) {
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(line, ":")
		var p *int64
		switch key {
		case "VmRSS":
			p = &m.Resident
		case "VmHWM":
			p = &m.Peak
		default:
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return memory{}, fmt.Errorf("process status: %s: %w", key, err)
		}
		*p = n << 10
	}
	if m.Resident == 0 || m.Peak == 0 {
		return memory{}, errors.New("process status: no memory in it")
	}
	return m, nil
}

// resetPeak makes the peak start again from the present size (proc_pid_clear_refs(5)). It needs the same user.
func resetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}

// listener finds the process that listens on a TCP port of this machine.
func listener(port int) (int, error) {
	inodes := map[string]bool{}
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		if b, err := os.ReadFile(name); err == nil { // a kernel may be without IPv6
			listening(b, port, inodes)
		}
	}
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return 0, err
	}
	for _, link := range links {
		name, err := os.Readlink(link)
		if err == nil && strings.HasPrefix(name, "socket:[") && inodes[name[len("socket:["):len(name)-1]] {
			return strconv.Atoi(strings.Split(link, "/")[2])
		}
	}
	return 0, fmt.Errorf("no process of ours listens on port %d: give its id", port)
}

// listening adds the inodes of the sockets in a table of proc_pid_net(5) that listen (state 0A) on port.
func listening(table []byte, port int, inodes map[string]bool) {
	suffix := fmt.Sprintf(":%04X", port)
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) > 9 && strings.HasSuffix(f[1], suffix) && f[3] == "0A" {
			inodes[f[9]] = true
		}
	}
}
