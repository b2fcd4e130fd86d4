"""Where cards are charged. Without keys of a real gateway, the labelled test gateway serves."""
