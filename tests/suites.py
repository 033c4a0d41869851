"""Small suites that the tests run: one on real digits, for workers, and one on made-up images."""

DIGITS = """
title = "tiny"
dataset = "digits"
model = "small-cnn"
seeds = [0]
forget = { scenario = "random", percent = 10 }
batch_size = 128
precision = "fp32"
floor = false
methods = { FT = { epochs = 1 } }
[original]
epochs = 1
lr = 0.05
milestones = []
"""
BLOBS = (
    DIGITS.replace('"digits"', '"blobs"')
    .replace("percent = 10", "percent = 20")
    .replace("batch_size = 128", "batch_size = 32")
    .replace("{ FT = { epochs = 1 } }", '["Retrain"]')
)
