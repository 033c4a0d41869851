"""From records to numbers, tables and plots. Trains nothing and imports no torch."""
