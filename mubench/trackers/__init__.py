"""Trackers: where the cells of a run are shown beside other experiments."""
