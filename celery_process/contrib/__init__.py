"""Homes in other frameworks; each is an island that the library does not know."""
