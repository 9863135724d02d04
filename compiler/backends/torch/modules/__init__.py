"""What operators need and torch lacks: the namespace `archc` of targets, with a file for each family. Only targets are exported.

Code that torch.fx cannot trace, such as code that depends on the dtype of an input, is in functions that fx treats as leaves (`fx.wrap`).
"""

from archc.compiler.backends.torch.modules.classic import RBF as RBF
from archc.compiler.backends.torch.modules.classic import ScaledTanh as ScaledTanh
from archc.compiler.backends.torch.modules.classic import Subsample as Subsample
from archc.compiler.backends.torch.modules.classic import TableConv as TableConv
from archc.compiler.backends.torch.modules.noise import BernoulliNoise as BernoulliNoise
from archc.compiler.backends.torch.modules.noise import NormalNoise as NormalNoise
from archc.compiler.backends.torch.modules.normalization import ChannelNorm as ChannelNorm
from archc.compiler.backends.torch.modules.normalization import ChannelRMSNorm as ChannelRMSNorm
from archc.compiler.backends.torch.modules.normalization import ResponseNorm as ResponseNorm
from archc.compiler.backends.torch.modules.normalization import SpatialResponseNorm as SpatialResponseNorm
from archc.compiler.backends.torch.modules.normalization import StochasticDepth as StochasticDepth
from archc.compiler.backends.torch.modules.positions import ChannelLinear as ChannelLinear
from archc.compiler.backends.torch.modules.positions import Crop as Crop
from archc.compiler.backends.torch.modules.positions import Gelu as Gelu
from archc.compiler.backends.torch.modules.windowed import WindowAttention as WindowAttention
