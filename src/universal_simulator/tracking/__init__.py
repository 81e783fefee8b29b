"""What MLflow knows of a run, where the run came from, and what waits to be sent."""
