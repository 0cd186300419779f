"""How fast and how small aeret is, always as a ratio to a peer measured in the same run."""
