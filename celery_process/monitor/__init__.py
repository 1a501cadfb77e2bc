"""The same numbers, findings and permissions for every view: the terminal, Flower, Django's admin, the metrics."""
