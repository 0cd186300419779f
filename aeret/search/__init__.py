"""Answer questions about a finished run: similar photos, text, indexes, clusters.

Nothing here is a stage: every module opens the artifacts that a run's stages left and computes an answer.
"""
