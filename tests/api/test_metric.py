"""What a metric's declaration refuses."""

import pytest

from mubench import metric


@pytest.mark.parametrize(
    ("function", "declared", "message"),
    [
        (lambda o: 0, {"better": "bigger"}, "better is 'bigger'; it may be reference, higher, lower"),
        (lambda o, r: 0, {}, r"the signature starts \(outputs, \*, \.\.\.\), not \(o, r\)"),
        (
            lambda o: 0,
            {"needs": "pair"},
            r"the signature starts \(outputs, reference, .*not \(o\)",
        ),
        (lambda o, *, scale: 0, {}, "parameter scale needs a default"),
        (lambda o, **rest: 0, {}, r"\*args and \*\*kwargs"),
    ],
)
def test_a_wrong_declaration_says_why(function, declared, message):
    with pytest.raises(TypeError, match=message):
        metric("x", **{"title": "X", "better": "higher", **declared})(function)
