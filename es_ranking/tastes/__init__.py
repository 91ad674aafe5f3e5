"""What people like: each one's clicks as a vector in the space of the item vectors that stand in the index."""
