"""The connectors: one conformance suite over all, a fake server for each channel."""
