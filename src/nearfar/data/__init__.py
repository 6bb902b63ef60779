"""From what people have to a `Table`: columns of plain arrays, decoded once."""
