"""One HTML file about a folder of results, for a reader who has nothing but a browser."""
