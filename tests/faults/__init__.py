"""Runs of the workflow that are killed, or lose their disk or store, and must end with the same bytes."""
