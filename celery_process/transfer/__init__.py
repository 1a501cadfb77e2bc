"""Export and import of what a store keeps, of this library and of the original."""
