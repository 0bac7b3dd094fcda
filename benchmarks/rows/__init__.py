"""The rows' programs on bide's public names, as a user would write them."""
