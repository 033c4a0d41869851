"""Your own network on your own arrays: three methods, a table, no file."""

from sklearn.datasets import load_digits
from torch import nn

import mubench

digits = load_digits()
images = (digits.images / 16 * 255).round().astype("uint8")  # (n, H, W), 0 to 255


def small_mlp(num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, num_classes))


suite = mubench.Suite(dataset=(images, digits.target), model=small_mlp, forget=20, epochs=4, lr=0.1, seeds=2)
results = mubench.run(suite, methods=["FT", "GA", "SalUn"])
print(results)
