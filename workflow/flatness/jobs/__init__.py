"""What runs around the jobs of the workflow, and decides no number of theirs."""
