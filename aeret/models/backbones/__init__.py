"""Register the backbones: one file a network, one line here.

A backbone takes float32 (b, S, S, 3) photos in 0..255 RGB, normalises them itself and returns a map
(b, h, w, channels). Networks without suffix have the layers of their papers. ``-bn`` variants have batch normalisation
in place of biases and of local response normalisation, and train from scratch on a few thousand photos. ``-small``
variants have a stem that keeps resolution at small photos, and half the channels. ``bigru`` reads the rows of a photo
as a sequence: its number of parameters grows with the side.
"""

from functools import partial

from aeret.models.backbones.alexnet import alexnet, alexnet_caffe, alexnet_small, alexnet_small_bn
from aeret.models.backbones.backbone import Backbone, fully_connected
from aeret.models.backbones.dcgan import dcgan_discriminator
from aeret.models.backbones.googlenet import googlenet, googlenet_classifier
from aeret.models.backbones.nin import nin, nin_classifier
from aeret.models.backbones.recurrent import bigru
from aeret.models.backbones.resnet18 import resnet18, resnet18_small
from aeret.models.backbones.vgg19 import vgg19
from aeret.models.backbones.vgg_f import vgg_f
from aeret.models.backbones.vgg_s import vgg_s
from aeret.models.backbones.zfnet import zfnet

ALEXNET = (
    'A. Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014 (torchvision\'s AlexNet)'
)
ALEXNET_CAFFE = (
    'A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet classification with deep convolutional neural networks", '
    "NIPS 2012 (Caffe's AlexNet, two towers)"
)
BIGRU = (
    'K. Cho et al., "Learning phrase representations using RNN encoder-decoder", EMNLP 2014; two bidirectional layers '
    "over the rows of a photo"
)
DCGAN = (
    'A. Radford, L. Metz, S. Chintala, "Unsupervised representation learning with deep convolutional generative '
    'adversarial networks", ICLR 2016'
)
GOOGLENET = 'C. Szegedy et al., "Going deeper with convolutions", CVPR 2015'
NIN = 'M. Lin, Q. Chen, S. Yan, "Network in network", ICLR 2014'
RESNET = 'K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition", CVPR 2016'
DEVIL = 'K. Chatfield, K. Simonyan, A. Vedaldi, A. Zisserman, "Return of the devil in the details", BMVC 2014'
VGG = 'K. Simonyan, A. Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015'
ZFNET = 'M. Zeiler, R. Fergus, "Visualizing and understanding convolutional networks", ECCV 2014'
BN = "; batch normalisation"

Dense = partial(Backbone, classifier=fully_connected)
"""A backbone whose own classifier is fc6, fc7 and the classes."""

BACKBONES: dict[str, Backbone] = {
    "alexnet": Dense(alexnet, 224, 63, ALEXNET),
    "alexnet-bn": Dense(alexnet, 224, 63, ALEXNET + BN, normalised=True),
    "alexnet-caffe": Dense(alexnet_caffe, 227, 55, ALEXNET_CAFFE),
    "alexnet-small": Backbone(alexnet_small, 96, 29, ALEXNET + "; 5x5 stem of stride 2, half the channels"),
    "alexnet-small-bn": Backbone(
        alexnet_small_bn, 96, 25, ALEXNET + "; 7x7 stem of stride 4 without pooling" + BN, normalised=True
    ),
    "bigru": Backbone(bigru, 64, 16, BIGRU),
    "dcgan-discriminator": Backbone(dcgan_discriminator, 64, 16, DCGAN),
    "googlenet": Backbone(googlenet, 224, 47, GOOGLENET, googlenet_classifier),
    "googlenet-bn": Backbone(googlenet, 224, 47, GOOGLENET + BN, googlenet_classifier, normalised=True),
    "nin": Backbone(nin, 224, 55, NIN, nin_classifier),
    "nin-bn": Backbone(nin, 224, 55, NIN + BN, nin_classifier, normalised=True),
    "resnet18": Backbone(resnet18, 224, 16, RESNET),
    "resnet18-small": Backbone(
        resnet18_small, 96, 16, RESNET + "; 3x3 stem of stride 2, no pooling, half the channels"
    ),
    "vgg-f": Dense(vgg_f, 224, 55, DEVIL),
    "vgg-f-bn": Dense(vgg_f, 224, 55, DEVIL + BN, normalised=True),
    "vgg-s": Dense(vgg_s, 224, 55, DEVIL),
    "vgg-s-bn": Dense(vgg_s, 224, 55, DEVIL + BN, normalised=True),
    "vgg19": Dense(vgg19, 224, 32, VGG),
    "vgg19-bn": Dense(vgg19, 224, 32, VGG + BN, normalised=True),
    "zfnet": Dense(zfnet, 224, 63, ZFNET),
    "zfnet-bn": Dense(zfnet, 224, 63, ZFNET + BN, normalised=True),
}
"""Name -> backbone, as ``cnn.backbone`` names them."""

__all__ = ["BACKBONES", "Backbone"]
