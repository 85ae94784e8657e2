"""Files that hold tables, a module a family of kinds."""
