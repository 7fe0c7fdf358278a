"""A stand-in bot, its price feed, a mail sink, and the one-command demonstration that uses them."""
