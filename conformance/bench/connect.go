package bench

import "context"

// connectTrial connects everybody anew each round. Their end is not counted: it happens after the measurement.
func connectTrial(ctx context.Context, s *subject) (*trial, error) {
	round := func(ctx context.Context) (m []Metric, err error) {
		if err := s.calm(ctx); err != nil {
			return nil, err
		}
		f := s.fleet()
		f.on = func(*client, byte) error { return nil }
		defer f.close()
		return s.cost("connect", func() (int, error) { return s.o.Clients, f.add(ctx, s.o.Clients) })
	}
	if err := warm(func() ([]Metric, error) { return round(ctx) }); err != nil {
		return nil, err
	}
	return &trial{measure: round}, nil
}
