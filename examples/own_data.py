"""Your own torch Dataset: forget one class of it with a built-in model, then look at the numbers."""

import numpy as np
from torch.utils.data import Dataset

import mubench


class Stripes(Dataset):
    """240 noisy grey images of 8 x 8 pixels: the stripe's place is the class, one of three."""

    def __len__(self):
        return 240

    def __getitem__(self, i):
        image = np.random.default_rng(i).integers(0, 160, (1, 8, 8))
        image[:, :, 3 * (i % 3)] += 60
        return image.astype(np.uint8), i % 3


suite = mubench.Suite(
    title="one of three stripes",
    dataset=Stripes(),  # or (training, test): without a test set, a fifth of each class is drawn
    data={"padding": 1},  # the augmentation: crops from an image padded by one pixel
    model="small-mlp",
    forget={"class": 2},
    epochs=3,
    lr=0.05,
    seeds=2,
)
results = mubench.run(suite, methods={"FT": {"epochs": 2}, "RL": {}})
print(results.table[["ua", "ra", "ta", "mia_svc", "rte"]].round(2))
print(results.compare("FT", "RL"))
