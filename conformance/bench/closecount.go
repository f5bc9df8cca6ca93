package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	metricsLimit = 1 << 20         // bytes of a /metrics page; ours has a few thousand
	countWait    = 2 * time.Second // the server counts an end when it is through with it, a little after the client saw it
)

// Close categories of Azure's metrics that our scenarios bring about.
const (
	slowClient             = "SlowClient"
	serverConnectionClosed = "ServerConnectionClosed"
)

// closeCount is how many clients the server has closed for a category so far, by its own /metrics. It is 0 for a
// server whose admin address we do not know.
func (s *subject) closeCount(ctx context.Context, category string) (int64, error) {
	if s.admin == "" {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.admin+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("close categories: %w", err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(io.LimitReader(resp.Body, metricsLimit))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	n := int64(0)
	if err == nil {
		n, err = parseCloseCount(string(page), category)
	}
	if err != nil {
		return 0, fmt.Errorf("close categories: %w", err)
	}
	return n, nil
}

// parseCloseCount reads one counter of a page in Prometheus' text format. A category that is not there has no closes.
func parseCloseCount(page, category string) (int64, error) {
	for line := range strings.Lines(page) {
		rest, ok := strings.CutPrefix(line, "signalrelay_connection_close_count_total{")
		if !ok {
			continue
		}
		labels, value, ok := strings.Cut(rest, "}")
		if !ok || !strings.Contains(labels, `endpoint="Client"`) || !strings.Contains(labels, `connection_close_category="`+category+`"`) {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		return int64(n), err
	}
	return 0, nil
}

// counted adds to m how many of want closes were counted for a category since it stood at before. It adds nothing
// for a server whose admin address we do not know.
func (s *subject) counted(ctx context.Context, m []Metric, category string, before, want int64) ([]Metric, error) {
	if s.admin == "" {
		return m, nil
	}
	for deadline := time.Now().Add(countWait); ; {
		n, err := s.closeCount(ctx, category)
		if err != nil {
			return nil, err
		}
		if n-before >= want || time.Now().After(deadline) {
			return append(m, Metric{Name: "counted as " + category, Unit: "clients", Value: float64(n - before)}), nil
		}
		if err := sleep(ctx, countWait/40); err != nil {
			return nil, err
		}
	}
}
