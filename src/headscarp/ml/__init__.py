"""The network, its training and its bundles; imports core only."""
