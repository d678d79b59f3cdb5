"""What `benchmarks/engines.py` holds the engines against: the same trainings, each peer at its best setting."""
