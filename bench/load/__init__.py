"""What the benchmarks share: the product under load, lean clients, and the reading of meters."""
