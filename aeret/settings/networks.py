"""Define and validate the settings of the two networks and of their training."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from aeret import names
from aeret.settings.fields import Count, Fraction, NonNegative, Positive, Section, one_of

Backbone = Annotated[str, one_of(names.BACKBONES)]


class TrainingSettings(Section):
    """How any network is trained."""

    place: ClassVar[str] = "cnn.training"
    epochs: Count = 12
    batch_size: Count = 64
    optimizer: Literal["sgd", "adam", "adamw"] = "adamw"
    learning_rate: Positive = 1e-3
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Momentum of ``sgd`` (Nesterov); beta 1 of ``adam`` and ``adamw``."""
    weight_decay: NonNegative = 0.0
    """Decoupled weight decay on kernels; not on biases or normalisation. For ``adamw`` alone: more than 0 is refused
    with another optimiser."""
    l1: NonNegative = 0.0
    """Weight of the summed absolute kernels in the loss (lasso)."""
    l2: NonNegative = 0.0
    """Weight of the summed squared kernels in the loss (ridge)."""
    schedule: Literal["constant", "step", "cosine", "plateau"] = "cosine"
    warmup_epochs: NonNegative = 1.0
    """The learning rate climbs linearly from zero over this many epochs, but at most over half of the training (of each
    phase, where it has two)."""
    step_epochs: Count = 10
    """``step``: every so many epochs the rate is multiplied by ``step_factor``."""
    step_factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    plateau_patience: Count = 3
    """``plateau``: epochs without a better validation loss before the rate is multiplied by ``step_factor``."""
    clip_norm: NonNegative = 0.0
    """Largest global norm of the gradient; 0 switches clipping off."""
    mixed_precision: Literal["off", "bfloat16", "float16"] = "off"
    early_stop_patience: Annotated[int, Field(ge=0)] = 0
    """Stop after so many epochs without a better validation loss; 0 never stops early."""
    average_weights: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay of an exponential moving average of the weights, used for validation and kept as the result; 0 is off."""

    @model_validator(mode="after")
    def _decay_is_used(self) -> Self:
        if self.weight_decay and self.optimizer != "adamw":
            raise ValueError(
                f"weight_decay={self.weight_decay:g} is for adamw, and optimizer {self.optimizer!r} would ignore it; "
                f"set {self.place}.weight_decay=0, and {self.place}.l2 for a penalty in the loss"
            )
        return self


class AutoencoderTraining(TrainingSettings):
    """How the mask autoencoder is trained: its own defaults, which stay when other keys are set."""

    place: ClassVar[str] = "autoencoder.training"
    epochs: Count = 20
    learning_rate: Positive = 2e-3


class AutoencoderSettings(Section):
    """The mask autoencoder (stage ``train-ae``)."""

    architecture: Literal["conv", "dense"] = "conv"
    """``conv``, or ``dense``: the paper's three layers."""
    mask_encoding: Literal["onehot", "supercategory", "binary", "supercategory+binary", "index"] = "onehot"
    """How masks become channels: ``onehot`` (one per category), ``supercategory``, ``binary``, ``supercategory+binary``
    or ``index``."""
    latent_size: Count = 256
    width: Count = 32
    """``conv``: channels of the convolutions at full resolution; the others have twice as many."""
    depth: Annotated[int, Field(ge=0)] = 1
    """``conv``: residual blocks at the decoder's end."""
    principal: bool = True
    """``conv``: start from the principal components of the training masks and learn what they miss."""
    code: Literal["default", "linear", "sigmoid"] = "default"
    """Activation of the code; ``default`` is the paper's sigmoid for ``dense``, and linear for ``conv``."""
    output: Literal["sigmoid", "identity"] = "sigmoid"
    """Activation of the decoder's last layer."""
    tied: bool = False
    """``dense``: the decoder's kernel is the encoder's, transposed; refused with ``conv``."""
    loss: Literal["bce", "mse", "bce+dice"] = "bce+dice"
    """``bce``, ``mse`` or ``bce+dice``: reconstruction loss; dice copes with masks being mostly background."""
    corruption: Literal["none", "masking", "salt-pepper", "blocks"] = "none"
    """Denoising (Vincent et al. 2008): what is done to the input; the clean mask is the target."""
    corruption_rate: Fraction = 0.1
    sparsity: NonNegative = 0.0
    """Weight of the sparsity penalty on the code."""
    sparsity_kind: Literal["l1", "kl"] = "l1"
    """L1 on the code, or KL divergence of mean activation from ``sparsity_target`` (sigmoid codes)."""
    sparsity_target: Annotated[float, Field(gt=0, lt=1)] = 0.05
    flip: bool = True
    """Mirror half of the masks in training."""
    crop: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Smallest side of a random crop as a share of the mask; 1 means no crops."""
    training: AutoencoderTraining = AutoencoderTraining()

    @model_validator(mode="after")
    def _has_kernels_to_tie(self) -> AutoencoderSettings:
        if self.tied and self.architecture != "dense":
            raise ValueError(
                f"tied weights belong to the dense autoencoder, got architecture {self.architecture!r}; set "
                "autoencoder.architecture=dense or autoencoder.tied=false"
            )
        return self


class LatentSettings(Section):
    """Normalisation of the latent code (stage ``encode-masks``), fitted on train only."""

    normalisation: Literal["minmax", "zscore", "l2", "whiten", "half-whiten", "none"] = "zscore"
    """``minmax``, ``zscore``, ``l2``, ``whiten``, ``half-whiten`` or ``none``."""


class CnnSettings(Section):
    """The joint CNN (stage ``train-cnn``)."""

    arm: Literal["joint", "labels-only", "latent-only", "shuffled-latents"] = "joint"
    """The method, or one of its three controls; all the same code, data order and seed."""
    backbone: Backbone = "resnet18-small"
    """A network of ``aeret models list``; ``-small`` names a stem made for small photos, ``-bn`` a variant with
    batch normalisation."""
    input_size: Annotated[int, Field(ge=16, le=1024)] = 96
    """Side in pixels of what the network sees, at most ``data.photo_size``."""
    pooling: Literal["gap", "gem", "flat", "fc"] = "gap"
    """From the last map to a vector: mean, generalised mean (learnt p), or every position; or ``fc``, the head of the
    network's own paper for those that have one (``alexnet``, ``alexnet-caffe``, ``vgg-f``, ``vgg-s``, ``vgg19``,
    ``zfnet`` and their ``-bn``): two layers of 4096 with dropout 0.5, the second of which is the embedding
    (``embedding_size``, ``embedding_norm`` and ``dropout`` do not count)."""
    reduce_channels: Annotated[int, Field(ge=0)] = 0
    """Channels that a 1x1 convolution brings the map to before it is pooled; 0 leaves it. With ``flat`` it keeps the
    embedding layer, and so overfitting, small."""
    embedding_size: Count = 256
    embedding_norm: bool = False
    """Batch normalisation of the embedding, before its ReLU."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """On the embedding, before the heads."""
    latent_weight: NonNegative = 1.0
    """Lambda: the weight of the latent loss beside the label loss."""
    latent_loss: Literal["mse", "huber", "cosine", "contrastive"] = "mse"
    """``mse``, ``huber``, ``cosine`` or ``contrastive``; a mean over dimensions, so lambda does not depend on their
    number."""
    contrastive_weight: NonNegative = 0.0
    """Weight of a contrastive loss that is added to ``latent_loss`` under the same lambda: a squared error alone is
    content with codes near the mean, which tell no photo from another."""
    temperature: Positive = 0.1
    """Softmax temperature of the contrastive loss."""
    label_loss: Literal["bce", "softmax"] = "bce"
    """``bce`` (multi-label sigmoid), or ``softmax`` for single-label collections."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    weights: str = ""
    """What the backbone starts from: empty (drawn by the seed), ``imagenet`` (``vgg19`` and ``resnet18`` only; fetched
    by Keras), or a path: a folder of stage ``train-cnn``, or a Keras file (``.weights.h5`` or ``.keras``) whose layers
    have the backbone's names. Heads are never taken over."""
    pretraining: Literal["none", "layer-wise", "gan"] = "none"
    """What the backbone learns from the train photos alone, before labels and codes: nothing; ``layer-wise`` (block
    after block from the bottom up, each as a denoising autoencoder of what the blocks below make of a photo); or
    ``gan`` (``dcgan-discriminator`` only: to tell photos from those of a generator)."""
    pretraining_epochs: Count = 5
    """Epochs of each block (``layer-wise``), or of the whole (``gan``, which needs many more)."""
    pretraining_corruption: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """``layer-wise``: share of a block's input values that is set to zero; the whole input is the target."""
    transfer: Literal["none", "frozen", "head-only", "fine-tuned"] = "none"
    """What then learns labels and codes: everything from the first step (``none``); nothing but linear read-outs of the
    pooled map, which is the embedding (``frozen``: ``embedding_size``, ``embedding_norm`` and ``reduce_channels`` do
    not count); embedding and heads on a backbone that stays as it is (``head-only``); or the same first, and then the
    upper end of the backbone too (``fine-tuned``; the better of the two on validation photos is kept). Needs
    ``weights`` or ``pretraining``."""
    transfer_head_share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """``fine-tuned``: share of the epochs in which embedding and heads learn alone."""
    transfer_unfreeze: Literal["last-block", "all"] = "last-block"
    """``fine-tuned``: what of the backbone learns after that: its last block (a convolution with its normalisation, a
    residual block, an inception module, a recurrent layer), or all."""
    transfer_rate: Annotated[float, Field(gt=0, le=1)] = 0.1
    """``fine-tuned``: the learning rate from then on, as a share of ``training.learning_rate``."""
    flip: bool = True
    crop: Annotated[float, Field(gt=0, le=1)] = 0.7
    """Smallest side of a random crop as a share of the photo; photo and mask are cropped together. 1 means no crops."""
    colour: Fraction = 0.2
    """Strength of random brightness, contrast and saturation."""
    training: TrainingSettings = TrainingSettings()

    @model_validator(mode="after")
    def _arm_needs_lambda(self) -> CnnSettings:
        if self.arm != "labels-only" and self.latent_weight == 0:
            raise ValueError(
                f"arm {self.arm!r} needs latent_weight > 0, got 0; the arm without latents is 'labels-only'"
            )
        return self

    @model_validator(mode="after")
    def _has_fully_connected_layers(self) -> CnnSettings:
        owners = ("alexnet", "alexnet-caffe", "vgg-f", "vgg-s", "vgg19", "zfnet")
        if self.pooling == "fc" and self.backbone.removesuffix("-bn") not in owners:
            raise ValueError(
                f"pooling 'fc' is the head of networks with fully connected layers, which {self.backbone!r} has not; "
                f"take one of {', '.join(owners)} or a -bn variant of theirs, or pooling gap, gem or flat"
            )
        if self.pooling == "fc" and self.transfer == "frozen":
            raise ValueError(
                "transfer 'frozen' trains no layer of the head, so pooling 'fc' would read random ones; take pooling "
                "gap, gem or flat"
            )
        return self

    @model_validator(mode="after")
    def _start_fits(self) -> CnnSettings:
        if self.weights and self.pretraining != "none":
            raise ValueError(
                f"weights={self.weights!r} and pretraining={self.pretraining!r} are two starts of one backbone; take "
                "one of them"
            )
        if self.pretraining == "gan" and self.backbone != "dcgan-discriminator":
            raise ValueError(
                f"pretraining 'gan' trains a discriminator, got backbone {self.backbone!r}; set "
                "cnn.backbone=dcgan-discriminator, or pretraining 'layer-wise'"
            )
        if self.weights == "imagenet" and self.backbone not in ("vgg19", "resnet18"):
            raise ValueError(
                f"there are no ImageNet weights for backbone {self.backbone!r}, only for vgg19 and resnet18; take one "
                "of these, or give the path of a file of weights"
            )
        return self

    @model_validator(mode="after")
    def _transfer_fits(self) -> CnnSettings:
        if self.transfer == "none":
            return self
        if not self.weights and self.pretraining == "none":
            raise ValueError(
                f"transfer {self.transfer!r} needs a backbone that knows something: set weights or pretraining too"
            )
        if self.transfer == "frozen" and self.arm not in ("joint", "labels-only"):
            raise ValueError(
                f"transfer 'frozen' trains no embedding, so arm {self.arm!r} has nothing to differ in; take arm 'joint'"
            )
        if self.transfer == "fine-tuned" and self.training.epochs < 2:
            raise ValueError("transfer 'fine-tuned' has two phases and needs training.epochs >= 2, got 1")
        return self
