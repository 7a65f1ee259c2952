"""The response plan, shipped as a layer of its own so that a change of plan deploys nothing else."""
