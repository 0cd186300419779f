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

BACKBONES = {
    "alexnet": "aeret.models.backbones.alexnet:ALEXNET",
    "alexnet-bn": "aeret.models.backbones.alexnet:ALEXNET_BN",
    "alexnet-caffe": "aeret.models.backbones.alexnet:ALEXNET_CAFFE",
    "alexnet-small": "aeret.models.backbones.alexnet:ALEXNET_SMALL",
    "alexnet-small-bn": "aeret.models.backbones.alexnet:ALEXNET_SMALL_BN",
    "bigru": "aeret.models.backbones.recurrent:BIGRU",
    "dcgan-discriminator": "aeret.models.backbones.dcgan:DCGAN_DISCRIMINATOR",
    "googlenet": "aeret.models.backbones.googlenet:GOOGLENET",
    "googlenet-bn": "aeret.models.backbones.googlenet:GOOGLENET_BN",
    "nin": "aeret.models.backbones.nin:NIN",
    "nin-bn": "aeret.models.backbones.nin:NIN_BN",
    "resnet18": "aeret.models.backbones.resnet18:RESNET18",
    "resnet18-small": "aeret.models.backbones.resnet18:RESNET18_SMALL",
    "vgg-f": "aeret.models.backbones.vgg_f:VGG_F",
    "vgg-f-bn": "aeret.models.backbones.vgg_f:VGG_F_BN",
    "vgg-s": "aeret.models.backbones.vgg_s:VGG_S",
    "vgg-s-bn": "aeret.models.backbones.vgg_s:VGG_S_BN",
    "vgg19": "aeret.models.backbones.vgg19:VGG19",
    "vgg19-bn": "aeret.models.backbones.vgg19:VGG19_BN",
    "zfnet": "aeret.models.backbones.zfnet:ZFNET",
    "zfnet-bn": "aeret.models.backbones.zfnet:ZFNET_BN",
}
"""Networks of ``cnn.backbone``: ``-bn`` with batch normalisation, ``-small`` for small photos."""

CLASSIC_FEATURES = {
    "colour-histogram": "aeret.embeddings.classic.colour_histogram:COLOUR_HISTOGRAM",
    "hog": "aeret.embeddings.classic.hog:HOG",
    "lbp": "aeret.embeddings.classic.lbp:LBP",
    "thumbnail-pca": "aeret.embeddings.classic.thumbnail_pca:THUMBNAIL_PCA",
    "visual-words-tfidf": "aeret.embeddings.classic.visual_words:VISUAL_WORDS_TFIDF",
    "visual-words-bm25": "aeret.embeddings.classic.visual_words:VISUAL_WORDS_BM25",
}
"""Hand-crafted features of ``embed.features``, beside ``cnn``."""

FEATURE_SELECTION = {
    "sequential": "aeret.evaluation.feature_selection.orders:SEQUENTIAL",
    "random": "aeret.evaluation.feature_selection.orders:RANDOM",
    "centre-out": "aeret.evaluation.feature_selection.orders:CENTRE_OUT",
    "variance": "aeret.evaluation.feature_selection.filters:VARIANCE",
    "information-gain": "aeret.evaluation.feature_selection.filters:INFORMATION_GAIN",
    "chi-squared": "aeret.evaluation.feature_selection.filters:CHI_SQUARED",
    "correlation": "aeret.evaluation.feature_selection.filters:CORRELATION",
    "greedy": "aeret.evaluation.feature_selection.greedy:GREEDY",
    "genetic": "aeret.evaluation.feature_selection.genetic:GENETIC",
    "lasso": "aeret.evaluation.feature_selection.lasso:LASSO",
}
"""Techniques of ``feature_selection.methods``: orders without data, filters, wrappers, embedded ones."""
