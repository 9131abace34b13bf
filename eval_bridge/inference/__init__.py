"""What a policy would order at one close: the market as of a bar, an account, the orders, and their text."""
