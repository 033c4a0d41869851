"""The models by name; importing this costs nothing, a model's own module imports torch.

Each is a function: input channels -> (backbone that maps images to features, width of the features).
"""

from mubench.errors import unknown

MODELS = {
    "small-cnn": "mubench.models.small:small_cnn",
}


def check_model(name: str) -> None:
    """UsageError with the nearest name if there is no such model."""
    if name not in MODELS:
        raise unknown("model", name, MODELS)
