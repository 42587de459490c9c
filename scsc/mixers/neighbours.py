"""A depthwise convolution whose kernel is another one at every pixel."""

import torch
import torch.nn.functional as F


def weighted_neighbours(x: torch.Tensor, weights: torch.Tensor, stride: int = 1) -> torch.Tensor:
    """Each output pixel is the weighted sum of the k x k input pixels around it.

    x: (N, C, H, W). weights: (N or 1, G, k * k, H', W'), k odd; channel c uses kernel c mod G.
    Returns (N, C, H', W') with H' = ceil(H / stride). Pixels outside the map are zero.
    """
    n, chs, height, width = x.shape
    groups, area, rows, cols = weights.shape[1:]
    side = int(area**0.5)
    x = F.pad(x.view(n, chs // groups, groups, height, width), [side // 2] * 4)
    result = x.new_zeros(())
    for place in range(area):
        i, j = divmod(place, side)
        window = x[..., i : i + height : stride, j : j + width : stride]
        result = result + window * weights[:, None, :, place]
    return result.view(n, chs, rows, cols)
