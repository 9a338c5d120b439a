"""What Snakemake is taught: reruns, locks, failures, clusters."""
