"""The bridge: policy bundles, their NumPy forward pass, and the stateful backtester. Never imports JAX."""
