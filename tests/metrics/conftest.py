"""Made-up models whose confidence on a set can be chosen."""

import numpy as np
import pytest

from mubench.api.outputs import SETS, Outputs


@pytest.fixture
def model():
    """Outputs of a made-up model: `model(seed=0, classes=4, sizes=..., lift=..., forgotten=())`.

    lift: what is added to the true class's logit, by set (forget, retain, val, test). The labels
    depend on `split`, the logits on `seed`. A forgotten class is the whole forget set, and absent
    from retain.
    """

    def make(seed=0, classes=4, sizes=(60, 150, 40, 200), lift=(1.0, 3.0, 1.0, 1.0), forgotten=(), split=0):
        logits, labels = {}, {}
        draw, noise = np.random.default_rng([7, split]), np.random.default_rng([11, seed])
        for name, n, up in zip(SETS, sizes, lift, strict=True):
            kept = np.setdiff1d(np.arange(classes), forgotten if name == "retain" else ())
            y = draw.choice(forgotten if forgotten and name == "forget" else kept, n)
            z = noise.normal(size=(n, classes))
            z[np.arange(n), y] += up
            logits[name], labels[name] = z.astype(np.float32), y.astype(np.int64)
        return Outputs(logits, labels, forgotten=tuple(forgotten))

    return make
