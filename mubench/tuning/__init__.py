"""The search of `mubench tune`: which trials, how good each one is, and the file that says what was found."""
