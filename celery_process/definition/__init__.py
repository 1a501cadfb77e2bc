"""The definition of a process in the code: its functions and its options, checked once, when it is defined."""
