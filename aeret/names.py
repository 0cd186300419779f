"""Name everything that settings choose by name, as "module:object".

This module imports nothing, so that settings, help texts and shell completion know every name without loading Keras.
To add a backbone, a feature or a technique, write its file and add one line here.
"""

STAGES = {
    "prepare": "aeret.stages.prepare",
    "audit": "aeret.stages.audit",
    "train-ae": "aeret.stages.train_ae",
    "encode-masks": "aeret.stages.encode_masks",
    "train-cnn": "aeret.stages.train_cnn",
    "embed": "aeret.stages.embed",
    "cluster-eval": "aeret.stages.cluster_eval",
    "feature-selection": "aeret.stages.feature_selection",
}
"""Stages in the order data flows."""
