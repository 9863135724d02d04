"""What operators need and torch lacks: the namespace `archc` of targets, with a file for each family. Only targets are exported.

Code that torch.fx cannot trace, such as code that depends on the dtype of an input, is in functions that fx treats as leaves (`fx.wrap`).
"""

from archc.compiler.backends.torch.modules.attention import Attention as Attention
from archc.compiler.backends.torch.modules.attention import MultiheadAttention as MultiheadAttention
from archc.compiler.backends.torch.modules.classic import RBF as RBF
from archc.compiler.backends.torch.modules.classic import ScaledTanh as ScaledTanh
from archc.compiler.backends.torch.modules.classic import Subsample as Subsample
from archc.compiler.backends.torch.modules.classic import TableConv as TableConv
from archc.compiler.backends.torch.modules.computed import ScaledConv1d as ScaledConv1d
from archc.compiler.backends.torch.modules.computed import ScaledConv2d as ScaledConv2d
from archc.compiler.backends.torch.modules.computed import ScaledConv3d as ScaledConv3d
from archc.compiler.backends.torch.modules.computed import SpectralConv1d as SpectralConv1d
from archc.compiler.backends.torch.modules.computed import SpectralConv2d as SpectralConv2d
from archc.compiler.backends.torch.modules.computed import SpectralConv3d as SpectralConv3d
from archc.compiler.backends.torch.modules.computed import SpectralConvTranspose1d as SpectralConvTranspose1d
from archc.compiler.backends.torch.modules.computed import SpectralConvTranspose2d as SpectralConvTranspose2d
from archc.compiler.backends.torch.modules.computed import SpectralConvTranspose3d as SpectralConvTranspose3d
from archc.compiler.backends.torch.modules.computed import SpectralLinear as SpectralLinear
from archc.compiler.backends.torch.modules.computed import StandardizedConv1d as StandardizedConv1d
from archc.compiler.backends.torch.modules.computed import StandardizedConv2d as StandardizedConv2d
from archc.compiler.backends.torch.modules.computed import StandardizedConv3d as StandardizedConv3d
from archc.compiler.backends.torch.modules.constant import Constant as Constant
from archc.compiler.backends.torch.modules.distances import Distances as Distances
from archc.compiler.backends.torch.modules.distances import ShiftMask as ShiftMask
from archc.compiler.backends.torch.modules.moving import Patches as Patches
from archc.compiler.backends.torch.modules.moving import PatchSum as PatchSum
from archc.compiler.backends.torch.modules.noise import BernoulliNoise as BernoulliNoise
from archc.compiler.backends.torch.modules.noise import NormalNoise as NormalNoise
from archc.compiler.backends.torch.modules.normalization import ChannelNorm as ChannelNorm
from archc.compiler.backends.torch.modules.normalization import ChannelRMSNorm as ChannelRMSNorm
from archc.compiler.backends.torch.modules.normalization import GlobalResponseNorm as GlobalResponseNorm
from archc.compiler.backends.torch.modules.normalization import ResponseNorm as ResponseNorm
from archc.compiler.backends.torch.modules.normalization import SpatialResponseNorm as SpatialResponseNorm
from archc.compiler.backends.torch.modules.normalization import StochasticDepth as StochasticDepth
from archc.compiler.backends.torch.modules.normalization import scaled as scaled
from archc.compiler.backends.torch.modules.pooled import PooledAttention as PooledAttention
from archc.compiler.backends.torch.modules.positions import ChannelLinear as ChannelLinear
from archc.compiler.backends.torch.modules.positions import Crop as Crop
from archc.compiler.backends.torch.modules.positions import Gelu as Gelu
from archc.compiler.backends.torch.modules.recurrent import Gru as Gru
from archc.compiler.backends.torch.modules.recurrent import Lstm as Lstm
from archc.compiler.backends.torch.modules.rotary import rotary as rotary
from archc.compiler.backends.torch.modules.rotary import rotary_positions as rotary_positions
from archc.compiler.backends.torch.modules.tokens import Embedding as Embedding
from archc.compiler.backends.torch.modules.tokens import learned as learned
from archc.compiler.backends.torch.modules.tokens import sine_positions as sine_positions
from archc.compiler.backends.torch.modules.windowed import WindowAttention as WindowAttention
