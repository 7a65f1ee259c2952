"""A fleet and an AWS on this machine: what the demo and the end-to-end tests run on."""
