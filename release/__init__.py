"""What a release is checked for, and what is shipped with it."""
