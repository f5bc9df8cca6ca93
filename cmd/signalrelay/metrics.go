package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalrelay/signalrelay/relay"
)

// The metrics are those of Azure SignalR Service under Prometheus names, with
// Azure's dimensions and their values: Endpoint is Client or Server, and
// ConnectionCloseCategory one of relay.Categories. Azure gives errors as a
// percentage of all operations; here they are counters like the rest.
var (
	connectionCount = describe("connection_count", "Connections now (ConnectionCount).", "endpoint")
	connectionOpen  = describe("connection_open_count_total", "Connections opened (ConnectionOpenCount).", "endpoint")
	connectionClose = describe("connection_close_count_total", "Connections closed (ConnectionCloseCount).", "endpoint", "connection_close_category")
	messageCount    = describe("message_count_total", "Messages from and to clients, one for each receiver (MessageCount).", "direction")
	inboundTraffic  = describe("inbound_traffic_bytes_total", "Bytes from clients (InboundTraffic).")
	outboundTraffic = describe("outbound_traffic_bytes_total", "Bytes to clients (OutboundTraffic).")
	userErrors      = describe("user_errors_total", "Connections that ended by a fault on the outside (UserErrors).")
	systemErrors    = describe("system_errors_total", "Connections that ended by a fault of the relay (SystemErrors).")
	panics          = describe("panics_total", "Connections lost to a panic.")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("signalrelay_"+name, help, labels, nil)
}

// userFaults are the categories that Azure counts as user errors; a ping
// timeout is one, as when a page is closed without a farewell.
var userFaults = map[relay.Category]bool{
	relay.Throttled: true, relay.PingTimeout: true, relay.NoAvailableServerConnection: true, relay.SlowClient: true,
	relay.HandshakeError: true, relay.ServerConnectionClosed: true, relay.BadRequest: true, relay.Unauthorized: true,
}

// metrics reads a relay's Stats whenever it is scraped.
type metrics struct{ relay relayServer }

// Describe is for prometheus.
func (m metrics) Describe(c chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, c) }

// Collect is for prometheus.
func (m metrics) Collect(c chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, n int64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	s := m.relay.Stats()
	c <- prometheus.MustNewConstMetric(connectionCount, prometheus.GaugeValue, float64(s.Clients), "Client")
	c <- prometheus.MustNewConstMetric(connectionCount, prometheus.GaugeValue, float64(s.Servers), "Server")
	counter(connectionOpen, s.ClientsOpened, "Client")
	counter(connectionOpen, s.ServersOpened, "Server")
	var user int64
	for _, category := range relay.Categories {
		n := s.ClientsClosed[category]
		counter(connectionClose, n, "Client", string(category))
		if userFaults[category] {
			user += n
		}
	}
	counter(connectionClose, s.ServersClosed, "Server", string(relay.Normal))
	counter(messageCount, s.MessagesIn, "in")
	counter(messageCount, s.MessagesOut, "out")
	counter(inboundTraffic, s.BytesIn)
	counter(outboundTraffic, s.BytesOut)
	counter(userErrors, user)
	counter(systemErrors, s.ClientsClosed[relay.ServiceTransientError])
	counter(panics, s.Panics)
}
