"""What the demo wholesaler sells, one category a file, each a few hand-written tables."""
