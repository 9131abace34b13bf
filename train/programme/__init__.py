"""The training programme: candidates side by side, over windows that walk forward."""
