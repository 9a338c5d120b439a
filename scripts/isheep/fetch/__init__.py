"""What is fetched over the network, and where it lies."""
