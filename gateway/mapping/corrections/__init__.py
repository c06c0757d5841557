"""`corrections.yaml`: attributes of instances that are corrected on the way to archives."""
