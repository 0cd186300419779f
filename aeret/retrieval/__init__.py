"""Rankings of a gallery for queries: exhaustive, and cluster-first in both readings of the paper's rule."""
