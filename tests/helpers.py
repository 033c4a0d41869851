"""What several test files use: `from helpers import gen`."""

import torch


def gen(seed=0):
    """A generator on the CPU with this seed."""
    return torch.Generator().manual_seed(seed)


def state(model):
    """A copy of all parameters and buffers by name."""
    return {n: t.detach().clone() for n, t in model.state_dict().items()}


def weights(model):
    """A copy of all parameters by name."""
    return {n: p.detach().clone() for n, p in model.named_parameters()}
