"""Datasets, splits, and batches that live on the device."""

from mubench.data.catalogue import Dataset, Raw, datasets, load_dataset, looks_of
from mubench.data.splits import Split, forget_indices, make_sets, make_split

__all__ = [
    "Dataset",
    "Raw",
    "Split",
    "datasets",
    "forget_indices",
    "load_dataset",
    "looks_of",
    "make_sets",
    "make_split",
]
