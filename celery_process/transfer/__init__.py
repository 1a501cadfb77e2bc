"""Export and import of processes: as lines of this library's own, and from the original's document."""
