"""Routes and what they read: they translate, and decide nothing."""
