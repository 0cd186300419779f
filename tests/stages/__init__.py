"""A package, because its files have the names of the rooms' tests."""
