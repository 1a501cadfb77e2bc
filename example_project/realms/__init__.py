"""Realms full of identities, and the long-running operations on them."""
