"""From a suite to the plan of its cells."""
