"""Reference implementations and drivers that several tests share."""
