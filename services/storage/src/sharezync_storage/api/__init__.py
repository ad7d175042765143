"""Routes and what they read and write: they translate, and decide nothing."""
