package facts

// Swarm is the swarm that the engine is part of, as its managers know it.
type Swarm struct {
	// Active is true when the engine is part of one, Manager when it manages it.
	Active  bool `json:"active"`
	Manager bool `json:"manager"`
}
