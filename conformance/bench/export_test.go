package bench

// For the tests of what is pure.
var (
	ParseStat   = parseStat
	ParseStatus = parseStatus
	Listening   = listening
	Listener    = listener
	ReadCPU     = readCPU
	StatOf      = statOf
	Percentile  = percentile
)

type (
	CPUTime = cpuTime
	Memory  = memory
)
