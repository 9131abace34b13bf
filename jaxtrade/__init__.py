"""jaxtrade: one rule book for trading, compiled in JAX for training and replayed in NumPy for proof."""

__version__ = "0.1.0"
