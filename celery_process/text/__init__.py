"""What people read: secrets are masked in it, one line stays one line, commands can be pasted, failures are told apart.

Knows nothing of processes.
"""
