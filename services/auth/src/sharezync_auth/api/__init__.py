"""Routes and wire schemas: they translate, and decide nothing."""
