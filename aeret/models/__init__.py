"""Networks: the mask autoencoder, the backbones, and the joint CNN that predicts labels and layout codes together.

``backbones`` has one file a network, ``autoencoder`` one an architecture; ``pooling`` goes from map to vector;
``joint`` puts the CNN together and brings its loss; ``latents`` normalises codes; ``saved`` and ``saved_joint`` are
trained networks on disk. All of it runs on TensorFlow, JAX and PyTorch; ``tf.*`` appears only in files named for
TensorFlow.
"""

import aeret.start_tensorflow  # first, so that TensorFlow starts quietly
