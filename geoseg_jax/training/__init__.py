"""The loop that trains, and what it needs: state, steps, checkpoints, transfer, evaluation."""
