"""Damaged and hostile files for every reader: each must end in a value or in one `PolyticketError`."""
