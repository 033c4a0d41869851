"""The pictures beside a table."""
