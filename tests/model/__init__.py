"""T3: an explicit-state model of the run protocol, checked in every state that it can come to."""
