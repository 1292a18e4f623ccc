"""Data in, table or picture out. Nothing here asks a world."""
