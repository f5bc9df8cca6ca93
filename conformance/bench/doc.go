// Package bench measures what a SignalR server costs: CPU time per delivery, echo and connect, memory per idle
// client, and what the others notice of a client or an app server that stalls. It is a black box: load goes in over
// TCP, cost is read from /proc of the processes under test.
//
// Numbers of two machines, or of two minutes of one machine, do not compare. So several targets are measured in one
// run, their rounds interleaved, and what counts is the ratio: to the floor (a server that does only the system
// calls) and to ASP.NET Core on Kestrel. Nothing is ever asserted about time.
//
// Clients speak ASP.NET Core SignalR or ASP.NET SignalR 2.x: a Flavour, which decides no more than how a client
// connects, what it sends and what a message of the server is. Scenarios know of neither.
//
// A run goes scenario by scenario; a scenario prepares each target (start its processes, connect its clients), takes
// turns measuring them, and stops them again. Linux only.
package bench
