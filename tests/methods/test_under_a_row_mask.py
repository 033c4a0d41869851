"""Every iterative method trains under a mask that it knows nothing of: held weights stay, others move."""

import pytest
import torch

from mubench.api.row_mask import RowMask
from mubench.methods.be import boundary_expanding
from mubench.methods.bs import boundary_shrink
from mubench.methods.cl import cl
from mubench.methods.ft import fine_tune
from mubench.methods.ga import gradient_ascent
from mubench.methods.l1_sparse import l1_sparse
from mubench.methods.rl import random_labelling
from mubench.methods.salun import salun

METHODS = [boundary_expanding, boundary_shrink, fine_tune, gradient_ascent, l1_sparse, random_labelling]


@pytest.mark.parametrize("function", METHODS, ids=lambda f: f.__name__)
def test_weights_that_the_rows_mask_holds_stay_bit_identical(lab, function):
    bench = lab()
    model = bench.model()
    rng = torch.Generator().manual_seed(3)
    entries = {n: (torch.rand(p.shape, generator=rng) > 0.5).float() for n, p in model.named_parameters()}
    laid = RowMask("half", entries, model)

    done = bench.run(function, model=model, epochs=2, lr=0.01)

    laid.check(function.__name__, done.model)
    for name, move in done.moves.items():
        assert not move[entries[name] == 0].any(), name
    assert any(move[entries[name] == 1].any() for name, move in done.moves.items())


@pytest.mark.parametrize(("function", "options"), [(cl, {"epochs": 2}), (salun, {"epochs": 2, "rho": 0.5})])
def test_methods_of_several_steps_or_with_a_mask_of_their_own_are_held_too(lab, function, options):
    bench = lab()
    model = bench.model()
    entries = {n: torch.full_like(p, float("head" in n)) for n, p in model.named_parameters()}
    RowMask("head", entries, model)

    done = bench.run(function, model=model, **options)

    assert not any(move.any() for name, move in done.moves.items() if "head" not in name)
    assert done.moves["head.weight"].any()
