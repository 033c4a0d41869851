"""A teacher: a copy of a model as it is now, which nothing trains."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn

M = TypeVar("M", bound=nn.Module)


def frozen(model: M) -> M:
    """A copy of `model` in eval mode whose weights take no gradients; its passes count as the method's cost.

    Call it outside of a Step's loss, on the batch that the Step is given next, or the Step would have to
    compile it too:

        teacher = frozen(model)
        for x, y in task.retain:
            step(x, y, teacher(x))
    """
    return copy.deepcopy(model).eval().requires_grad_(False)
