"""`mubench speed` as text."""

import pytest

from mubench.running import speed

MEASURED = {
    "samples_per_second": {"plain loop": 100.0, "fp32, channels_last": 1250.0},
    "own": "fp32, channels_last",
    "speedup": 12.5,
    "training_flops_per_sample": 1e9,
    "matmul_flops_per_second": {"fp32": 2.5e12},
    "ceiling_samples_per_second": {"fp32": 2500.0},
    "share_of_ceiling": 0.5,
    "rounds": 3,
}


def test_the_text_of_speed(call, suite_file, monkeypatch):
    asked = []
    monkeypatch.setattr(speed, "compare", lambda work, precision, *_, **__: asked.append(work) or MEASURED)

    code, out, _ = call("speed", "--suite", suite_file(), "--device", "cpu", "--threads", 2)

    rows = [[c.strip() for c in line.split("│")[1:-1]] for line in out.splitlines() if line.startswith("│")]
    assert code == 0
    assert "small-cnn, tiny" in out
    assert rows == [
        ["plain loop", "100.0", "1.00x"],
        ["fp32, channels_last  (this suite)", "1,250.0", "12.50x"],
        ["ceiling: 2.5 TFLOP/s of fp32 products", "2,500.0", ""],
    ]
    assert "speedup 12.50; 50% of the ceiling. Batch 32 of 1x8x8, median of 3; " in out
    assert ", cpu, 2 thread(s), torch " in out
    assert (asked[0].threads, asked[0].classes, asked[0].padding) == (2, 3, 1)


@pytest.mark.parametrize(
    "words", [["--seconds", "inf"], ["--seconds", 0], ["--rounds", 0], ["--threads", 0], ["--suite", "x"]]
)
def test_what_cannot_be_measured_is_one_line(call, words):
    code, out, err = call("speed", *words)

    assert (code, out, len(err.splitlines())) == (2, "", 1)
