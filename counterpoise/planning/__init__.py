"""From study files to cells: configuration, schema, grid, plan."""
