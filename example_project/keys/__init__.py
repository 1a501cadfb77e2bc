"""Service accounts and their keys, and the process that collects the keys nobody may use any more."""
