"""What the code says of a process: its functions and its options, checked once, when it is defined."""
